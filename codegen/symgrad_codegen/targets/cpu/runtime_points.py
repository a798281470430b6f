# --- Fixed run-time text of a kernel over points. --------------------------------------------------------------------

if JIT:

    @intrinsic
    def stream(typing, target, start, block):
        """Copies `block` to target[start:], past the cache; needs 64-byte alignment and whole cache lines."""

        def copy(context, builder, signature, arguments):
            kind = context.get_value_type(signature.args[0].dtype)
            lanes = 64 // (4 if isinstance(kind, ir.FloatType) else 8)
            vector, size = ir.VectorType(kind, lanes).as_pointer(), ir.IntType(64)
            out = make_array(signature.args[0])(context, builder, arguments[0])
            row = make_array(signature.args[2])(context, builder, arguments[2])
            begin = builder.gep(out.data, [arguments[1]])
            with cgutils.for_range_slice(builder, size(0), size(BLOCK), size(lanes), intp=size) as (place, _):
                value = builder.load(builder.bitcast(builder.gep(row.data, [place]), vector), align=64)
                stored = builder.store(value, builder.bitcast(builder.gep(begin, [place]), vector), align=64)
                stored.set_metadata("nontemporal", builder.module.add_metadata([ir.IntType(32)(1)]))
            return context.get_dummy_value()

        return types.void(target, start, block), copy

else:

    def stream(target, start, block):
        target[start : start + BLOCK] = block


def aligned(*shape):
    """An uninitialised array that begins on a cache line."""
    itemsize = np.dtype(real_name).itemsize
    buffer = np.empty(int(np.prod(shape)) * itemsize + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    return buffer[start : start + buffer.size - 64].view(real_name).reshape(shape)


def run_points(inputs, outputs):
    """Fills the outputs: contiguous arrays of one length and of the kernel's dtype that overlap no input."""
    count = len(outputs[0])
    whole = count - count % BLOCK
    if whole:
        streamed = whole * len(outputs) * outputs[0].itemsize > STREAMED_BYTES and all(
            array.ctypes.data % 64 == 0 for array in outputs
        )
        points(0, whole, *inputs, *outputs, aligned(len(outputs), BLOCK) if streamed else None)
    if count > whole:
        # The last block is padded with its last point, so that a result does not depend on the length of the batch.
        rest = count - whole
        rows = aligned(len(inputs) + len(outputs), BLOCK)
        for row, array in zip(rows, inputs):
            row[:rest] = array[whole:]
            row[rest:] = array[count - 1]
        points(0, BLOCK, *rows, None)
        for row, array in zip(rows[len(inputs) :], outputs):
            array[whole:] = row[:rest]


def run_batch(inputs, out, values, derivatives):
    """`kernel_batch` of this module: checks its arrays, or makes `out`, and fills it; so many results of each kind."""
    inputs = [np.ascontiguousarray(array, real_name) for array in inputs]
    shapes = {array.shape for array in inputs}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        raise ValueError(f"kernel_batch takes 1-D arrays of one length, not of shapes {sorted(shapes)}")
    count = len(inputs[0]) if inputs else 1
    if out is None:
        made = tuple(aligned(count) for _ in range(values + derivatives))
        out = made[0] if values == 1 else made[:values], made[values:]
    outputs = [*(out[:1] if values == 1 else out[0]), *out[1]]
    if len(outputs) != values + derivatives:
        raise ValueError(f"out must hold {values} and {derivatives} arrays")
    for array in outputs:
        if array.shape != (count,) or array.dtype != real_name or not array.flags.c_contiguous:
            raise ValueError(f"out must hold contiguous {real_name} arrays of {count} elements")
        if any(np.may_share_memory(array, other) for other in inputs):
            raise ValueError("out must not overlap an input")
    run_points(inputs, outputs)
    return out
