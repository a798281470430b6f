# --- Fixed run-time text of a kernel for GPUs. ----------------------------------------------------------------------

if SIMULATED:

    def device_function(name, python):
        """The function of Python: the simulator has no libdevice. It raises where a GPU gives infinity or NaN."""
        return lambda *arguments: real(python(*arguments))

    def select_function():
        return lambda condition, taken, otherwise: taken if condition else otherwise

    def rounded_mul_function():
        return lambda a, b: a * b

else:
    from numba.cuda import libdevice
    from numba.cuda.extending import intrinsic

    def device_function(name, python):
        """The routine of libdevice for the kernel's type."""
        return getattr(libdevice, name if real_name == "float64" else f"{name}f")

    def select_function():
        """select(condition, taken, otherwise) without a branch: both are computed."""

        def call(context, builder, signature, arguments):
            return builder.select(*arguments)

        @intrinsic
        def select(typing, condition, taken, otherwise):
            return taken(types.boolean, taken, taken), call

        return select

    def rounded_mul_function():
        """a * b, rounded, whatever is added to it: the compiler for GPUs fuses plain products with sums."""
        return getattr(libdevice, "dmul_rn" if real_name == "float64" else "fmul_rn")


def grid_size(count):
    """How many blocks: one for THREADS indices, as far as the GPU has room for them at about the same time."""
    wanted = -(-count // THREADS)
    most = 2 if SIMULATED else 32 * cuda.get_current_device().MULTIPROCESSOR_COUNT
    return wanted if wanted < most else most


QUIET = threading.Lock()


def launch(kernel_part, blocks, threads, stream, *arguments):
    """Runs a kernel, without Numba's warning that a grid is small: where there is little to do, it is."""
    with QUIET:
        shown = config.CUDA_LOW_OCCUPANCY_WARNINGS
        config.CUDA_LOW_OCCUPANCY_WARNINGS = 0
        try:
            configured = kernel_part[blocks, threads, stream]
        finally:
            config.CUDA_LOW_OCCUPANCY_WARNINGS = shown
    configured(*arguments)


def on_device(array, dtype=real_name):
    """An array that is on the device as it is, any other as a contiguous copy there."""
    if hasattr(array, "__cuda_array_interface__"):
        return cuda.as_cuda_array(array)
    return cuda.to_device(np.ascontiguousarray(array, dtype))


@cuda.jit(cache=CACHE)
def expand_points(source, shape, steps, target):
    """target[i] = the element of `source` that broadcasting and its strides put at point i of `shape`."""
    i = cuda.grid(1)
    while i < target.size:
        rest, place = i, 0
        for axis in range(len(shape) - 1, -1, -1):
            place += rest % shape[axis] * steps[axis]
            rest //= shape[axis]
        target[i] = real(source[place])
        i += cuda.gridsize(1)


def expand(source, shape, steps, target, stream=0):
    if target.size:
        launch(expand_points, grid_size(target.size), THREADS, stream, source, shape, steps, target)


ROOMS = {}  # by thread, stream and name: calls that may run at the same time share none
MOST_ROOMS = 256  # then the oldest goes: programs that make a stream for each call would fill the GPU


def room(stream, name, shape, kind=real_name):
    """Memory of the device that calls use again."""
    key = threading.get_ident(), 0 if SIMULATED else int(stream), name
    found = ROOMS.get(key)
    if found is None or found.shape != shape:
        ROOMS.pop(key, None)
        if len(ROOMS) >= MOST_ROOMS:
            ROOMS.pop(next(iter(ROOMS)), None)
        found = ROOMS[key] = cuda.device_array(shape, kind)
    return found
