# --- Fixed run-time text of a kernel over arrays. ------------------------------------------------------------------------

if JIT:

    @intrinsic
    def running_sum(typing, total, term):
        """total + term, where the order of the terms is free: so that a sum runs in lanes."""

        def add(context, builder, signature, arguments):
            return builder.fadd(*arguments, flags=("reassoc", "contract", "nsz") if VECTORISE else ())

        return total(total, total), add

else:

    def running_sum(total, term):
        return total + term


@njit(**OPTIONS)
def clamped(index, extent):
    """The index, held inside of an array: what is read there is of no use."""
    return max(0, min(index, extent - 1))


@njit(**OPTIONS)
def part_length(length):
    """How much of the data is summed up at a time: it depends on nothing but the length."""
    parts = max(1, min(64, length // 4096))
    return -(-length // parts)


@njit(**OPTIONS)
def pack_2(rows, block):
    """Rows of an array as lanes: transposed."""
    wide_and_unaliased()
    for j in range(block.shape[0]):
        lane = block[j]
        for i in range(lane.shape[0]):
            lane[i] = rows[i, j]


@njit(**OPTIONS)
def pack_3(rows, block):
    """Rows of an array as lanes: the first axis last."""
    wide_and_unaliased()
    for j in range(block.shape[0]):
        for k in range(block.shape[1]):
            lane = block[j, k]
            for i in range(lane.shape[0]):
                lane[i] = rows[i, j, k]


@njit(**OPTIONS)
def unpack_2(block, rows):
    """Lanes as rows of an array."""
    wide_and_unaliased()
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            rows[i, j] = block[j, i]


@njit(**OPTIONS)
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
