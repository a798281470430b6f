# --- Fixed run-time text of a kernel over arrays. --------------------------------------------------------------------

SUM, PRODUCT, LARGEST, SMALLEST = range(4)
MOST_BLOCKS = 1024  # of a pass, whatever the GPU: its sums have the same bits everywhere
SCRATCH_BYTES = 1 << 28  # for what each thread keeps in memory for itself


@cuda.jit(device=True, inline="always")
def joined(kind, a, b):
    if kind == SUM:
        result = a + b
    elif kind == PRODUCT:
        result = a * b
    elif kind == LARGEST:
        result = a if (a > b) | (a != a) else b
    else:
        result = a if (a < b) | (a != a) else b
    return result


@cuda.jit(device=True, inline="always")
def start_of(kind):
    if kind == SUM:
        result = real(0.0)
    elif kind == PRODUCT:
        result = real(1.0)
    elif kind == LARGEST:
        result = -real(inf)
    else:
        result = real(inf)
    return result


@cuda.jit(device=True, inline="always")
def over_block(kind, value, shared):
    """The values of all threads of a block, joined in one order: one half with the other, again and again."""
    thread, half = cuda.threadIdx.x, THREADS // 2
    shared[thread] = value
    cuda.syncthreads()
    while half > 0:
        if thread < half:
            shared[thread] = joined(kind, shared[thread], shared[thread + half])
        cuda.syncthreads()
        half //= 2
    total = shared[0]
    cuda.syncthreads()
    return total


@cuda.jit(device=True, inline="always")
def keep(sums, entry, total):
    """What a block adds to an entry."""
    if cuda.threadIdx.x == 0:
        sums[entry, cuda.blockIdx.x] = total


@cuda.jit(cache=CACHE)
def join_sums(kind, sums, target, place):
    """Each entry of `target` from `place` on is joined with its sums of all blocks, by a block of threads."""
    shared = cuda.shared.array(THREADS, real)
    entry, block = cuda.blockIdx.x, cuda.threadIdx.x
    total = start_of(kind)
    while block < sums.shape[1]:
        total = joined(kind, total, sums[entry, block])
        block += THREADS
    total = over_block(kind, total, shared)
    if cuda.threadIdx.x == 0:
        target[place + entry] = joined(kind, target[place + entry], total)


def combine(kind, sums, target, place, stream):
    if sums.shape[0]:
        launch(join_sums, sums.shape[0], THREADS, stream, kind, sums, target.ravel(), place)


@cuda.jit(device=True, inline="always")
def clamped(index, extent):
    """The index, held inside of an array: what is read there is of no use."""
    inside = index if index < extent else extent - 1
    return inside if inside > 0 else 0


@cuda.jit(cache=CACHE)
def set_points(target, value):
    i = cuda.grid(1)
    while i < target.size:
        target[i] = value
        i += cuda.gridsize(1)


def set_all(array, value, stream):
    """Every entry is set to a number."""
    if array.size:
        launch(set_points, grid_size(array.size), THREADS, stream, array.ravel(), number(value))


def number(value):
    """A number of the kernel's type."""
    return np.dtype(real_name).type(value)


def pass_blocks(count, own):
    """How many blocks walk `count` indices, where each thread keeps `own` numbers in memory. The same on every GPU."""
    wanted = -(-count // THREADS)
    room_for = SCRATCH_BYTES // (8 * THREADS * own) if own else MOST_BLOCKS
    return builtins.max(1, builtins.min(wanted, room_for, MOST_BLOCKS))


def library(stream, work, target, *arrays):
    """`work` of CuPy on arrays of the device, into `target`; in the simulator of NumPy."""
    if SIMULATED:
        result = np.empty(target.shape, real_name)
        target.copy_to_host(result)
        work(np, result, *(array.copy_to_host() for array in arrays))
        target.copy_to_device(result)
    else:
        import cupy
        import cupyx

        with cupy.cuda.ExternalStream(int(stream)), cupyx.errstate(linalg="raise"):
            work(cupy, cupy.asarray(target), *(cupy.asarray(array) for array in arrays))


def matrix_product(target, a, flip_a, b, flip_b, adds, stream):
    """target = a b, or target + a b where `adds`; `flip` says which factor is transposed."""

    def work(xp, target, a, b):
        result = xp.matmul(a.T if flip_a else a, b.T if flip_b else b)
        target[...] = target + result if adds else result

    if target.size:
        library(stream, work, target, a, b)


def matrix_inverse(target, a, stream):
    def work(xp, target, a):
        target[...] = xp.linalg.inv(a)

    library(stream, work, target, a)


def matrix_solve(target, a, b, stream):
    def work(xp, target, a, b):
        target[...] = xp.linalg.solve(a, b)

    library(stream, work, target, a, b)


def matrix_determinant(target, a, stream):
    def work(xp, target, a):
        target[...] = xp.linalg.det(a)

    library(stream, work, target, a)


def matrix_log_determinant(target, a, stream):
    """NaN where the determinant is negative."""

    def work(xp, target, a):
        sign, value = xp.linalg.slogdet(a)
        target[...] = xp.where(sign > 0, value, xp.where(sign == 0, -inf, nan))

    library(stream, work, target, a)


@cuda.jit(cache=CACHE)
def least_and_largest(values, found):
    """The least and the largest integer of what each thread walks."""
    i = cuda.grid(1)
    least = largest = values[i if i < values.size else 0]
    while i < values.size:
        least = values[i] if values[i] < least else least
        largest = values[i] if values[i] > largest else largest
        i += cuda.gridsize(1)
    found[0, cuda.grid(1)] = least
    found[1, cuda.grid(1)] = largest


def index_range(values, stream=0):
    """The least and the largest of the integers in an array of the device."""
    blocks = builtins.min(16, grid_size(values.size))
    found = cuda.device_array((2, blocks * THREADS), np.int64, stream=stream)
    launch(least_and_largest, blocks, THREADS, stream, values.ravel(), found)
    least, largest = found.copy_to_host(stream=stream)
    return int(least.min()), int(largest.max())


def compile_kernels():
    """Compiles for the GPU that is here, before the first call."""
    for kernel_part, kinds in KERNELS if not SIMULATED else ():
        kernel_part.compile(types.void(*kinds))


def ptx(cc):
    """What the kernels become for a GPU of compute capability `cc`, such as (9, 0). Needs no GPU."""
    parts = [*KERNELS, (join_sums, (types.int64, real[:, ::1], real[::1], types.int64))]
    texts = [cuda.compile_ptx(kernel_part.py_func, types.void(*kinds), cc=cc)[0] for kernel_part, kinds in parts]
    return "\n".join(texts)


def run_arrays(inputs, out, values, stream):
    """`kernel` of this module. Arrays of NumPy are copied to the GPU and back; others are used where they are."""
    given = None if out is None else [*(out[:1] if values == 1 else out[0]), *out[1]]
    stays = any(hasattr(array, "__cuda_array_interface__") for array in (*inputs, *(given or ())))
    arrays = []
    for value, (kind, rank) in zip(inputs, INPUTS):
        if rank:
            arrays.append(on_device(value, real_name if kind == "real" else np.int64))
        else:
            arrays.append(int(value) if kind == "extent" else float(value))
    shapes = SHAPES(*arrays)
    if given is not None and len(given) != len(shapes):
        raise ValueError(f"out must hold {values} and {len(shapes) - values} arrays")
    if stays and given is not None:
        outputs = [cuda.as_cuda_array(array) for array in given]
    else:
        outputs = [cuda.device_array(shape or 1, real_name, stream=stream) for shape in shapes]
    INTO(stream, *arrays, *outputs)
    results = outputs
    if not stays:
        results = [array.copy_to_host(stream=stream) for array in outputs]
        results = [array if shape else float(array[0]) for array, shape in zip(results, shapes)]
        for place, shape in enumerate(shapes if given is not None else ()):
            if shape:
                given[place][...] = results[place]
                results[place] = given[place]
    return results[0] if values == 1 else tuple(results[:values]), tuple(results[values:])
