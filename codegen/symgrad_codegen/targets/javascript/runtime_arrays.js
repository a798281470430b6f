// Functions that kernels over arrays call: arguments are read and checked, indices are checked, matrices are factorised.
// targets/javascript/target.py puts those that a kernel calls below it, and those that they call.


/** Whether a value is an array, plain or typed. */
function is_array(value) {
    return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}


/** An axis in words: 2*n - 1 of { n: 2, 1: -1 }. */
function form_text(form) {
    const { 1: offset, ...terms } = form;
    const texts = Object.entries(terms).map(([name, factor]) => (factor === 1 ? name : `${factor}*${name}`));
    return [...texts, ...(offset || !texts.length ? [offset ?? 0] : [])].join(" + ").replaceAll("+ -", "- ");
}


/** The shape of an array in words. */
function shape_text(axes) {
    return `an array of shape [${axes.map(form_text).join(", ")}]`;
}


/** What an argument is, in a message. */
function described(value) {
    if (is_array(value)) return `an array of ${value.length} elements`;
    return typeof value === "object" && value !== null ? "an object" : String(value);
}


/** Nested arrays as a flat one, and their shape: null where a flat array of several axes does not tell it. */
function flattened(name, axes, value) {
    const refused = (shape) => new RangeError(`${name} is ${shape_text(axes)}, not of shape [${shape.join(", ")}]`);
    if (value.shape !== undefined) {
        const shape = Array.from(value.shape);
        if (shape.length !== axes.length) throw refused(shape);
        if (shape.some((length) => !(length >= 0)) || shape.reduce((a, b) => a * b, 1) !== value.length) {
            throw new RangeError(`${name} has ${value.length} elements, and not the shape [${shape.join(", ")}]`);
        }
        return [value, shape];
    }
    const shape = [value.length];
    let flat = value;
    while (flat.length && is_array(flat[0])) {
        const length = flat[0].length;
        const other = flat.find((row) => !is_array(row) || row.length !== length);
        if (other !== undefined) {
            const both = `${length} elements in one place and ${other.length ?? "none"} in another`;
            throw new RangeError(`axis ${shape.length} of ${name} has ${both}`);
        }
        shape.push(length);
        flat = flat.flatMap((row) => Array.from(row));
    }
    if (shape.length === axes.length) return [flat, shape];
    if (shape.length > 1 && flat.length) throw refused(shape);
    return [flat, null];
}


/** A flat array as the kernel takes it; what are no numbers, or no integers, is refused. */
function converted(name, kind, flat) {
    if (kind === "real") {
        if (flat instanceof REAL) return flat;
        const wrong = flat.findIndex((value) => typeof value !== "number");
        if (wrong >= 0) throw new TypeError(`${name} holds ${described(flat[wrong])}, which is no number`);
        return REAL.from(flat);
    }
    const wrong = flat.findIndex((value) => !Number.isSafeInteger(value));
    if (wrong >= 0) throw new TypeError(`${name} holds ${described(flat[wrong])}, which is no integer`);
    return Float64Array.from(flat, (value) => value + 0); // -0 is 0
}


/** One argument: what the kernel takes for it, and its shape where that is known. */
function argument(name, { kind, axes }, value) {
    if (axes.length) {
        if (!is_array(value)) throw new TypeError(`${name} is ${shape_text(axes)}, not ${described(value)}`);
        const [flat, shape] = flattened(name, axes, value);
        return { name, axes, shape, value: converted(name, kind, flat) };
    }
    if (typeof value !== "number") throw new TypeError(`${name} is one number, not ${described(value)}`);
    if (kind === "real") return { name, axes, shape: [], value: new REAL([value])[0] };
    if (!Number.isSafeInteger(value)) throw new TypeError(`${name} is an integer, not ${value}`);
    if (kind === "extent" && value < 0) throw new RangeError(`${name} is a number of elements, not ${value}`);
    return { name, axes, shape: [], value: value + 0 };
}


/** The length of an axis; NaN where an extent is not known. */
function length_of(form, extents) {
    const one = ([name, factor]) => factor * (name === "1" ? 1 : (extents.get(name)?.size ?? NaN));
    return Object.entries(form).map(one).reduce((a, b) => a + b, 0);
}


/** Learns the extent that an axis of this length is made of, if it is made of one. Returns whether it did. */
function tell(extents, form, length, by) {
    const { 1: offset = 0, ...terms } = form;
    const [name] = Object.keys(terms);
    const size = (length - offset) / terms[name];
    if (Object.keys(terms).length !== 1 || extents.has(name) || !Number.isSafeInteger(size) || size < 0) return false;
    extents.set(name, { size, by });
    return true;
}


/** Learns the extents of all arrays: first where a shape is known, then where one length of a flat array is missing. */
function tell_all(extents, arrays) {
    for (const { name, axes, shape } of arrays) {
        axes.forEach((form, axis) => shape && tell(extents, form, shape[axis], `axis ${axis} of ${name}`));
    }
    for (let more = true; more; ) {
        more = false;
        for (const { name, axes, shape, value } of arrays) {
            const lengths = axes.map((form) => length_of(form, extents));
            const missing = lengths.filter(Number.isNaN).length;
            if (shape || missing !== 1) continue;
            const rest = lengths.reduce((a, b) => a * (Number.isNaN(b) ? 1 : b), 1);
            const form = axes[lengths.findIndex(Number.isNaN)];
            more = tell(extents, form, value.length / rest, `the ${value.length} elements of ${name}`) || more;
        }
    }
}


/** The arguments as the kernel takes them, and the extents that arrays tell; what does not fit together is refused. */
function checked(values, names) {
    const extents = new Map();
    const given = values.map((value, place) => argument(ARGUMENTS[place], INPUTS[ARGUMENTS[place]], value));
    for (const { name, value } of given) {
        if (INPUTS[name].kind === "extent") extents.set(name, { size: value, by: `the argument ${name}` });
    }
    const arrays = given.filter(({ axes }) => axes.length);
    tell_all(extents, arrays);
    const told = (form) =>
        Object.keys(form).flatMap((name) => {
            const extent = extents.get(name);
            return extent ? [`${name} = ${extent.size} by ${extent.by}`] : [];
        });
    for (const { name, axes, shape, value } of arrays) {
        const lengths = axes.map((form) => length_of(form, extents));
        const open = axes.find((_, axis) => Number.isNaN(lengths[axis]));
        if (open) {
            const way = "give it a property shape, as in Object.assign(array, { shape: [2, 3] }), or nest its rows";
            throw new RangeError(`${name} is ${shape_text(axes)}, and no array tells ${form_text(open)}: ${way}`);
        }
        lengths.forEach((length, axis) => {
            if (!(length < 0 || (shape && shape[axis] !== length))) return;
            const found = `axis ${axis} of ${name}${shape ? ` has the length ${shape[axis]}` : ""}`;
            const why = [...told(axes[axis]), `which makes ${form_text(axes[axis])} ${length}`].join(", ");
            throw new RangeError(`${found}, and ${why}`);
        });
        if (lengths.reduce((a, b) => a * b, 1) !== value.length) {
            const why = [...new Set(axes.flatMap(told))].join(", ");
            const found = `${name} has ${value.length} elements, and not the shape [${lengths.join(", ")}]`;
            throw new RangeError(`${found} (${why})`);
        }
    }
    return [...given.map(({ value }) => value), ...names.map((name) => extents.get(name).size)];
}


/** An index that has to be in low .. high: of an input, else `array` is empty; `source` says what it is made of. */
function within(index, low, high, array, axis, source) {
    if (index >= low && index <= high) return index;
    const of = array ? `axis ${axis} of ${array}` : "an array that is computed";
    const what = source ? `${source} holds ${index}, an index of ${of}` : `an index of ${of} is ${index},`;
    throw new RangeError(`${what} out of the bounds ${low} .. ${high}`);
}


/** An index that has to be one of an axis of this length. */
function inside(index, length, array, axis, source) {
    return within(index, 0, length - 1, array, axis, source);
}


/** An index, held inside of an axis: what is read there is of no use. */
function clamped(index, length) {
    return Math.max(0, Math.min(index, length - 1));
}


/** The quotient of two integers, rounded down. */
function floored_quotient(a, b) {
    return Math.floor(a / b);
}


/** A flat array, with its shape. */
function shaped(array, ...shape) {
    return Object.assign(array, { shape });
}


/**
 * The factors L and U of a matrix of n rows in one, the order of its rows, and the sign of that: Gaussian elimination
 * with partial pivoting (G. H. Golub and C. F. Van Loan, Matrix Computations, section 3.4).
 */
function factorised(matrix, n) {
    const lu = Float64Array.from(matrix);
    const order = Array.from({ length: n }, (_, row) => row);
    let sign = 1;
    for (let k = 0; k < n; k++) {
        let pivot = k;
        for (let i = k + 1; i < n; i++) {
            if (Math.abs(lu[i * n + k]) > Math.abs(lu[pivot * n + k])) pivot = i;
        }
        if (pivot !== k) {
            for (let j = 0; j < n; j++) {
                [lu[k * n + j], lu[pivot * n + j]] = [lu[pivot * n + j], lu[k * n + j]];
            }
            [order[k], order[pivot]] = [order[pivot], order[k]];
            sign = -sign;
        }
        if (lu[k * n + k] === 0) continue; // all below it are 0, too
        for (let i = k + 1; i < n; i++) {
            const factor = (lu[i * n + k] /= lu[k * n + k]);
            for (let j = k + 1; j < n; j++) lu[i * n + j] -= factor * lu[k * n + j];
        }
    }
    return { lu, order, sign };
}


/** out = the solution X of matrix X = right. */
function solve(out, matrix, right, n) {
    const { lu, order } = factorised(matrix, n);
    const columns = n ? right.length / n : 0;
    const x = new Float64Array(right.length);
    for (let i = 0; i < n; i++) {
        if (lu[i * n + i] === 0) throw new RangeError("a matrix that is inverted is singular");
        for (let j = 0; j < columns; j++) x[i * columns + j] = right[order[i] * columns + j];
        for (let k = 0; k < i; k++) {
            const factor = lu[i * n + k];
            for (let j = 0; j < columns; j++) x[i * columns + j] -= factor * x[k * columns + j];
        }
    }
    for (let i = n - 1; i >= 0; i--) {
        for (let k = i + 1; k < n; k++) {
            const factor = lu[i * n + k];
            for (let j = 0; j < columns; j++) x[i * columns + j] -= factor * x[k * columns + j];
        }
        for (let j = 0; j < columns; j++) x[i * columns + j] /= lu[i * n + i];
    }
    out.set(x);
}


/** out = the inverse of a matrix. */
function inverse(out, matrix, n) {
    const identity = new Float64Array(n * n);
    for (let i = 0; i < n; i++) identity[i * n + i] = 1;
    solve(out, matrix, identity, n);
}


/** The determinant of a matrix. */
function determinant(matrix, n) {
    const { lu, sign } = factorised(matrix, n);
    let product = sign;
    for (let i = 0; i < n; i++) product *= lu[i * n + i];
    return product;
}


/** The logarithm of the determinant: NaN where that is negative. */
function log_determinant(matrix, n) {
    const { lu, sign } = factorised(matrix, n);
    let sum = 0;
    let side = sign;
    for (let i = 0; i < n; i++) {
        side *= Math.sign(lu[i * n + i]);
        sum += Math.log(Math.abs(lu[i * n + i]));
    }
    return side < 0 ? NaN : sum;
}
