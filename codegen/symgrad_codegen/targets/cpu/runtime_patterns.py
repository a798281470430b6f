# --- Fixed run-time text of patterns: plain NumPy. --------------------------------------------------------------------


def pattern_max(a, b):
    """The larger of two extents."""
    return a if a > b else b


def pattern_min(a, b):
    """The smaller of two extents."""
    return a if a < b else b


def pattern_loops(*ranges):
    """The indices of loops, each from its first to before its last, along an axis of its own."""
    return np.ix_(*(np.arange(low, stop) for low, stop in ranges))


def pattern_entry(table, *index):
    """Entries of a table of integers; what lies outside is of no use, as there is no entry of the matrix then."""
    table = np.asarray(table)
    if not table.size:
        return np.int64(0)
    return table[tuple(np.clip(np.asarray(at, np.int64), 0, end - 1) for at, end in zip(index, table.shape))]


def pattern_places(box, is_there, shapes, block, indices):
    """Which row, or column, each entry is in, by its indices in a block; -1 where there is none."""
    place = np.int64(0)
    for length, index in zip(shapes[block], indices):
        place = place * length + np.asarray(index, np.int64)
    before = sum(int(np.prod(shape, dtype=np.int64)) for shape in shapes[:block])
    return np.array(np.broadcast_to(np.where(is_there, before + place, -1), box))
