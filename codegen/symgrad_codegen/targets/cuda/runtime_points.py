# --- Fixed run-time text of a kernel over points. --------------------------------------------------------------------


def run_points(inputs, outputs, stream=0):
    """Fills the outputs: 1-D arrays on the device, of one length and the kernel's dtype, that overlap no input."""
    count = outputs[0].size
    arrays = dict(zip((*ARGUMENTS, *OUTPUTS), (*inputs, *outputs)))
    if KEPT:
        arrays["KEPT"] = room(stream, "KEPT", (KEPT * LANES,))
    for start in range(0, count, LANES or count):
        stop = start + LANES if LANES and start + LANES < count else count
        for kernel_part, names in KERNELS:
            given = uint64(start), uint64(stop), *(arrays[name] for name in names)
            launch(kernel_part, grid_size(stop - start), THREADS, stream, *given)


@cuda.jit(cache=CACHE)
def pack_points(rows, cells, target):
    """target[point, place] = the result that is at that place, or 0 where it is none (-1)."""
    i = cuda.grid(1)
    while i < target.size:
        row = cells[i % cells.size]
        target[i] = rows[row, i // cells.size] if row >= 0 else real(0.0)
        i += cuda.gridsize(1)


def pack(rows, cells, target, stream=0):
    """An array of several results of each point, flat, from a row for each result."""
    launch(pack_points, grid_size(target.size), THREADS, stream, rows, cells, target)


def signature(names):
    """The types of a kernel's arguments, where its arrays are contiguous."""
    return types.void(uint64, uint64, *[real[::1]] * len(names))


def compile_kernels():
    """Compiles for the GPU that is here, before the first call."""
    for kernel_part, names in KERNELS if not SIMULATED else ():
        kernel_part.compile(signature(names))


def ptx(cc):
    """What the kernels become for a GPU of compute capability `cc`, such as (9, 0). Needs no GPU."""
    texts = [cuda.compile_ptx(kernel_part.py_func, signature(names), cc=cc)[0] for kernel_part, names in KERNELS]
    return "\n".join(texts)


def run_batch(inputs, out, values, derivatives):
    """`kernel_batch` of this module. Arrays of NumPy are copied to the GPU and back; others are used where they are."""
    given = None if out is None else [*(out[:1] if values == 1 else out[0]), *out[1]]
    stays = any(hasattr(array, "__cuda_array_interface__") for array in (*inputs, *(given or ())[:1]))
    inputs = [on_device(array) for array in inputs]
    shapes = {array.shape for array in inputs}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        raise ValueError(f"kernel_batch takes 1-D arrays of one length, not of shapes {sorted(shapes)}")
    count = inputs[0].size if inputs else 1
    if given is not None:
        fit = all(array.shape == (count,) and array.dtype == real_name for array in given)
        if len(given) != values + derivatives or not fit:
            raise ValueError(f"out must hold {values} and {derivatives} {real_name} arrays of {count} elements")
    if stays and given is not None:
        outputs = [cuda.as_cuda_array(array) for array in given]
    else:
        outputs = [cuda.device_array(count, real_name) for _ in OUTPUTS]
    run_points(inputs, outputs)
    if not stays:
        targets = given if given is not None else [np.empty(count, real_name) for _ in OUTPUTS]
        for array, target in zip(outputs, targets):
            array.copy_to_host(target)
        outputs = targets
    return outputs[0] if values == 1 else tuple(outputs[:values]), tuple(outputs[values:])
