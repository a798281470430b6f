# --- Fixed run-time text of a kernel over arrays. --------------------------------------------------------------------

if JIT:
    from numba.extending import get_cython_function_address

    @intrinsic
    def running_sum(typing, total, term):
        """total + term, where the order of the terms is free: so that a sum runs in lanes."""

        def add(context, builder, signature, arguments):
            return builder.fadd(*arguments, flags=("reassoc", "contract", "nsz") if VECTORISE else ())

        return total(total, total), add

    BLAS = "dgemm" if real_name == "float64" else "sgemm"
    llvmlite.binding.add_symbol(  # before a cached kernel that calls it
        f"symgrad_{BLAS}", get_cython_function_address("scipy.linalg.cython_blas", BLAS)
    )

    @intrinsic
    def gemm(typing, flip_a, flip_b, m, n, k, a, lda, b, ldb, beta, c, ldc):
        """BLAS: c = a b + beta c, all in column-major order, a and b transposed where `flip` says so."""

        def call(context, builder, signature, arguments):
            kind = context.get_value_type(signature.args[5].dtype)
            size, letter = ir.IntType(32), ir.IntType(8)

            def place(value):
                slot = cgutils.alloca_once(builder, value.type)
                builder.store(value, slot)
                return slot

            def number(value):
                return place(builder.trunc(value, size))

            def flag(value):
                return place(builder.select(value, letter(ord("T")), letter(ord("N"))))

            def data(at):
                return make_array(signature.args[at])(context, builder, arguments[at]).data

            flags = [flag(value) for value in arguments[:2]]
            lengths = [number(value) for value in arguments[2:5]]
            one, beta = place(kind(1.0)), place(arguments[9])
            given = [*flags, *lengths, one, data(5), number(arguments[6]), data(7), number(arguments[8])]
            given += [beta, data(10), number(arguments[11])]
            function = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.VoidType(), [value.type for value in given]), f"symgrad_{BLAS}"
            )
            builder.call(function, given)
            return context.get_dummy_value()

        return types.void(types.boolean, types.boolean, *[types.int64] * 3, a, types.int64, b, types.int64,
                          a.dtype, c, types.int64), call  # fmt: skip

    @njit(**INNER)
    def matrix_product(out, a, flip_a, b, flip_b, adds):
        """out = a b, or out + a b where `adds`; `flip` says which factor is transposed. Rows are contiguous."""
        size = out.itemsize
        inner = a.shape[0] if flip_a else a.shape[1]
        if out.size == 0 or inner == 0:  # BLAS refuses the strides of what is empty
            if not adds:
                out[:] = 0.0
            return
        # In column-major order, as BLAS has it, an array is its transpose: out' = b' a'.
        rows_a, rows_b, rows = (
            max(1, a.strides[0] // size),
            max(1, b.strides[0] // size),
            max(1, out.strides[0] // size),
        )
        beta = real(1.0) if adds else real(0.0)
        gemm(flip_b, flip_a, out.shape[1], out.shape[0], inner, b, rows_b, a, rows_a, beta, out, rows)

else:

    def running_sum(total, term):
        return total + term

    def matrix_product(out, a, flip_a, b, flip_b, adds):
        product = np.dot(a.T if flip_a else a, b.T if flip_b else b)
        out[:] = out + product if adds else product


@njit(**INNER)
def wide_product(out, a, flip_a, b, flip_b):
    """out + a b, where `out` has a wider type."""
    product = np.empty(out.shape, real)
    matrix_product(product, a, flip_a, b, flip_b, False)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] += product[i, j]


def whole_product(out, a, flip_a, b, flip_b, adds):
    """The product of whole matrices, where that is called from Python."""
    np.dot(a.T if flip_a else a, b.T if flip_b else b, out=out)


def one_part(function, low, stop, arguments, sums, kinds):
    """A pass whose parts may not run at the same time."""
    function(low, max(low, stop), *arguments, *sums)


def walk_parts(function, low, stop, arguments, sums, kinds, run=map):
    """A pass part by part, each with sums of its own, which are joined in order: the same bits for any `run`."""
    part = part_length(max(0, stop - low))
    if part >= stop - low:
        return function(low, max(low, stop), *arguments, *sums)
    begins = range(low, stop, part)

    def one(begin):
        own = [np.full_like(array, STARTS[kind]) for array, kind in zip(sums, kinds)]
        function(begin, min(begin + part, stop), *arguments, *own)
        return own

    for own in run(one, begins):
        for total, array, kind in zip(sums, own, kinds):
            JOINS[kind](total, array, out=total)


STARTS = {"sum": 0.0, "product": 1.0, "largest": -inf, "smallest": inf}
JOINS = {"sum": np.add, "product": np.multiply, "largest": np.maximum, "smallest": np.minimum}


@njit(**INNER)
def clamped(index, extent):
    """The index, held inside of an array: what is read there is of no use."""
    return max(0, min(index, extent - 1))


@njit(**OPTIONS)
def part_length(length):
    """How much of the data is summed up at a time: it depends on nothing but the length."""
    parts = max(1, min(64, length // 4096))
    return max(1, -(-length // parts))


@njit(**OPTIONS)
def index_range(values):
    """The least and the largest of the integers in an array."""
    least, largest = (values[0], values[0]) if values.size else (0, 0)
    for value in values:
        least, largest = min(least, value), max(largest, value)
    return least, largest


@njit(**INNER)
def copy_shifted(vector, start, block):
    """vector[start:] as far as the block goes; outside of the vector its nearest entry, which is of no use."""
    for i in range(block.size if vector.size else 0):
        block[i] = vector[clamped(start + i, vector.size)]


@njit(**INNER)
def pack_2(rows, block):
    """Rows of an array as lanes: transposed. Short rows a cache line of lanes at a time, so that they are read once.

    There may be fewer rows than lanes where no loop reads them in the end.
    """
    wide_and_unaliased()
    lanes = min(block.shape[1], rows.shape[0])
    whole = lanes - lanes % 8 if block.shape[0] <= 32 else 0
    for first in range(0, whole, 8):
        for j in range(block.shape[0]):
            for i in range(8):
                block[j, first + i] = rows[first + i, j]
    for j in range(block.shape[0]):
        for i in range(whole, lanes):
            block[j, i] = rows[i, j]


@njit(**INNER)
def pack_3(rows, block):
    """Rows of an array as lanes: the first axis last."""
    wide_and_unaliased()
    for j in range(block.shape[0]):
        for k in range(block.shape[1]):
            lane = block[j, k]
            for i in range(min(lane.shape[0], rows.shape[0])):
                lane[i] = rows[i, j, k]


@njit(**INNER)
def unpack_2(block, rows):
    """Lanes as rows of an array."""
    wide_and_unaliased()
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            rows[i, j] = block[j, i]


@njit(**INNER)
def unpack_3(block, rows):
    """Lanes as rows of an array: the last axis first."""
    wide_and_unaliased()
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            for k in range(rows.shape[2]):
                rows[i, j, k] = block[j, k, i]


@njit(**OPTIONS)
def determinant(matrix):
    return np.linalg.det(matrix)


@njit(**OPTIONS)
def log_determinant(matrix):
    """The logarithm of the determinant: NaN where that is negative."""
    sign, value = np.linalg.slogdet(matrix)
    return value if sign > 0 else (-inf if sign == 0 else nan)
