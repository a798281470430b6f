// f(a_b, lambda_2, np, x_import_os, μ) = a_b * lambda_2 + np * x_import_os**2 / μ
//
// Arguments: a_b, lambda_2, np, x_import_os, μ (float32).
// Returns: [f, [d_a_b, d_lambda_2, d_np, d_x_import_os, d_μ]], where d_x stands for the derivative of f by x.
// Operations: 6 for the value, 12 for value and gradient.
//
// Made by symgrad; a plain module that does not need it. It needs nothing else.

// a_b stands for 'a b'
// lambda_2 stands for 'lambda'
// x_import_os stands for 'x; import os'
// μ stands for '\xb5'
export const ARGUMENTS = ["a_b", "lambda_2", "np", "x_import_os", "μ"];
export const WRT = ["a_b", "lambda_2", "np", "x_import_os", "μ"];
const fround = Math.fround; // to float32

export function kernel(a_b, lambda_2, np, x_import_os, μ) {
    a_b = fround(a_b);
    lambda_2 = fround(lambda_2);
    np = fround(np);
    x_import_os = fround(x_import_os);
    μ = fround(μ);
    // forward
    const x_import_os_squared = fround(x_import_os * x_import_os);
    const ratio_1 = fround(1 / μ); // 1 / μ
    // np * (x_import_os * x_import_os) * (1 / μ)
    const product_1 = fround(fround(np * x_import_os_squared) * ratio_1);
    // a_b * lambda_2 + np * (x_import_os * x_import_os) * (1 / μ)
    const value = fround(fround(a_b * lambda_2) + product_1);
    // backward
    const d_np = fround(ratio_1 * x_import_os_squared); // d value / d np
    const d_x_import_os = fround(fround(2 * fround(ratio_1 * np)) * x_import_os); // d value / d x_import_os
    const d_μ = -fround(product_1 * ratio_1); // d value / d μ
    const d_a_b = lambda_2;
    const d_lambda_2 = a_b;
    return [value, [d_a_b, d_lambda_2, d_np, d_x_import_os, d_μ]];
}

/** Value and gradient at every point of arrays: [f, [d_x, ...]], each a Float32Array. */
export function kernel_batch(a_b, lambda_2, np, x_import_os, μ) {
    return at_every_point(kernel, [a_b, lambda_2, np, x_import_os, μ]);
}

/** The kernel at every point of arrays. */
function at_every_point(kernel, inputs) {
    const lengths = inputs.map((array) => array?.length);
    const count = inputs.length ? lengths[0] : 1;
    if (!(count >= 0) || lengths.some((length) => length !== count)) {
        const found = lengths.map(String).join(", ");
        throw new RangeError(`${kernel.name}_batch takes arrays of one length, not of lengths ${found}`);
    }
    const arrays = inputs.map((array) => Float32Array.from(array));
    const values = new Float32Array(count);
    const gradient = Array.from({ length: 5 }, () => new Float32Array(count));
    for (let i = 0; i < count; i++) {
        const [value, derivatives] = kernel(...arrays.map((array) => array[i]));
        values[i] = value;
        derivatives.forEach((derivative, k) => (gradient[k][i] = derivative));
    }
    return [values, gradient];
}
