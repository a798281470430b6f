// f(w0, w1, w2, x0, x1) = 1 / (exp(-(w2 + w0 * x0 + w1 * x1)) + 1)
//
// Arguments: w0, w1, w2, x0, x1 (float64).
// Returns: [f, [d_w0, d_w1, d_w2, d_x0, d_x1]], where d_x stands for the derivative of f by x.
// Operations: 8 for the value, 16 for value and gradient.
//
// Made by symgrad; a plain module that does not need it. It needs nothing else.

export const ARGUMENTS = ["w0", "w1", "w2", "x0", "x1"];
export const WRT = ["w0", "w1", "w2", "x0", "x1"];

export function kernel(w0, w1, w2, x0, x1) {
    // forward
    const s = w2 + w0 * x0 + w1 * x1;
    const exp_1 = Math.exp(-s);
    const value = 1 / (1 + exp_1); // 1 / (1 + exp(-s))
    // backward
    const d_w2 = exp_1 === Infinity ? 0 : value * (exp_1 * value); // d value / d w2
    const d_w0 = d_w2 * x0; // d value / d w0
    const d_w1 = d_w2 * x1; // d value / d w1
    const d_x0 = d_w2 * w0; // d value / d x0
    const d_x1 = d_w2 * w1; // d value / d x1
    return [value, [d_w0, d_w1, d_w2, d_x0, d_x1]];
}

/** Value and gradient at every point of arrays: [f, [d_x, ...]], each a Float64Array. */
export function kernel_batch(w0, w1, w2, x0, x1) {
    return at_every_point(kernel, [w0, w1, w2, x0, x1]);
}

/** The kernel at every point of arrays. */
function at_every_point(kernel, inputs) {
    const lengths = inputs.map((array) => array?.length);
    const count = inputs.length ? lengths[0] : 1;
    if (!(count >= 0) || lengths.some((length) => length !== count)) {
        const found = lengths.map(String).join(", ");
        throw new RangeError(`${kernel.name}_batch takes arrays of one length, not of lengths ${found}`);
    }
    const arrays = inputs.map((array) => Float64Array.from(array));
    const values = new Float64Array(count);
    const gradient = Array.from({ length: 5 }, () => new Float64Array(count));
    for (let i = 0; i < count; i++) {
        const [value, derivatives] = kernel(...arrays.map((array) => array[i]));
        values[i] = value;
        derivatives.forEach((derivative, k) => (gradient[k][i] = derivative));
    }
    return [values, gradient];
}
