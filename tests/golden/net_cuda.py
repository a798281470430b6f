# f(W1, X, b1, w2, y) = sum over i of (-y[i] + sum over j of w2[j] * max(0, b1[j] + sum over k of W1[k, j] * X[i,
#     k]))**2
@cuda.jit(cache=CACHE)
def pass_1(
    h, b1, w2, y, total_1, sum_1, hidden, d_sum_1, d_y, low, stop, d_b1_own, d_b1_sums, d_w2_own, d_w2_sums,
    value_here_sums
):
    shared = cuda.shared.array(THREADS, real)
    thread = cuda.grid(1)
    value_here = real(0.0)
    for entry_0 in range(d_b1_own.shape[0]):
        d_b1_own[entry_0, thread] = real(0.0)
    for entry_0 in range(d_w2_own.shape[0]):
        d_w2_own[entry_0, thread] = real(0.0)
    i = low + thread
    while i < stop:
        scores_here = real(0.0)
        # forward: sum_1[j, i] = b1[j] + total_1[j, i], hidden[j, i] = max(0, sum_1[j, i]), scores[i] = sum over j ...
        for j in range(h):
            sum_1_ji = b1[j] + total_1[j, i - low]
            sum_1[j, thread] = sum_1_ji
            hidden_ji = max(0.0, sum_1_ji)
            hidden[j, thread] = hidden_ji
            scores_here = scores_here + (w2[j] * hidden_ji)
        # forward and backward: sum_2[i] = scores[i] - y[i], value = sum over i of sum_2[i] * sum_2[i], d_sum_2, d_y
        sum_2_i = scores_here - y[i]
        sum_2_here = sum_2_i
        value_here = value_here + (sum_2_i * sum_2_i)
        d_sum_2_i = 2.0 * sum_2_i
        d_sum_2_here = d_sum_2_i
        d_y[i] = -d_sum_2_i  # d value / d y
        # backward: d_sum_1, d_b1, d_w2
        for j in range(h):
            d_sum_1_ji = where_larger(sum_1[j, thread], 0.0, d_sum_2_here * w2[j], sum_2_here * w2[j])
            d_sum_1[j, i - low] = d_sum_1_ji
            d_b1_own[j, thread] = d_b1_own[j, thread] + d_sum_1_ji  # d value / d b1
            d_w2_own[j, thread] = d_w2_own[j, thread] + (sum_2_here * hidden[j, thread])
        i += cuda.gridsize(1)
    for entry_0 in range(d_b1_own.shape[0]):
        keep(d_b1_sums, entry_0, over_block(SUM, d_b1_own[entry_0, thread], shared))
    for entry_0 in range(d_w2_own.shape[0]):
        keep(d_w2_sums, entry_0, over_block(SUM, d_w2_own[entry_0, thread], shared))
    keep(value_here_sums, 0, over_block(SUM, value_here, shared))


@cuda.jit(cache=CACHE)
def pass_1_2(d, n, d_X_total, d_X, count):
    thread = cuda.grid(1)
    point = thread
    while point < count:
        i = point % n
        j = point // n
        # backward: d_X
        d_X[i, j] = d_X_total[j, i]  # d value / d X
        point += cuda.gridsize(1)


@cuda.jit(cache=CACHE)
def nest_5(d_w2, low, stop):
    thread = cuda.grid(1)
    i = low + thread
    while i < stop:
        # backward: d_b1, d_w2
        d_w2[i] = 2.0 * d_w2[i]  # d value / d w2
        i += cuda.gridsize(1)


@cuda.jit(cache=CACHE)
def alone(result, value):
    result[0] = value[0]


def kernel_into(stream, W1, X, b1, w2, y, result, d_W1, d_X, d_b1, d_w2, d_y):
    """Fills arrays on the device with values and derivatives: of numbers they have one entry."""
    d = W1.shape[0]
    h = W1.shape[1]
    n = X.shape[0]
    value = room(stream, "value", (1,))
    set_all(value, 0.0, stream)
    set_all(d_W1, 0.0, stream)
    set_all(d_b1, 0.0, stream)
    set_all(d_w2, 0.0, stream)
    # over i
    low = 0
    stop = n
    total_1 = room(stream, "total_1", (h, builtins.max(1, stop - low)))
    d_sum_1 = room(stream, "d_sum_1", (h, builtins.max(1, stop - low)))
    d_X_total = room(stream, "d_X_total", (d, builtins.max(1, stop - low)))
    # forward: total_1[j, i] = sum over k of W1[k, j] * X[i, k]
    matrix_product(total_1[:, : stop - low], W1, True, X[low:stop], True, False, stream)
    blocks = pass_blocks(stop - low, d_b1.size + d_w2.size + h + h)
    sum_1 = room(stream, "sum_1", (h, blocks * THREADS))
    hidden = room(stream, "hidden", (h, blocks * THREADS))
    d_b1_own = room(stream, "d_b1_own", (*d_b1.shape, blocks * THREADS))
    d_b1_sums = room(stream, "d_b1_sums", (d_b1.size, blocks))
    d_w2_own = room(stream, "d_w2_own", (*d_w2.shape, blocks * THREADS))
    d_w2_sums = room(stream, "d_w2_sums", (d_w2.size, blocks))
    value_here_sums = room(stream, "value_here_sums", (1, blocks))
    launch(
        pass_1, blocks, THREADS, stream, h, b1, w2, y, total_1, sum_1, hidden, d_sum_1, d_y, low, stop, d_b1_own,
        d_b1_sums, d_w2_own, d_w2_sums, value_here_sums
    )
    combine(SUM, d_b1_sums, d_b1, 0, stream)
    combine(SUM, d_w2_sums, d_w2, 0, stream)
    combine(SUM, value_here_sums, value, 0, stream)
    # backward: d_W1
    matrix_product(d_W1, X[low:stop], True, d_sum_1[:, : stop - low], True, True, stream)
    # backward: d_X_total
    matrix_product(d_X_total[:, : stop - low], W1, False, d_sum_1[:, : stop - low], False, False, stream)
    count = builtins.max(0, d) * builtins.max(0, n)
    blocks = pass_blocks(count, 0)
    launch(pass_1_2, blocks, THREADS, stream, d, n, d_X_total, d_X, count)
    # over i
    low = 0
    stop = h
    blocks = pass_blocks(stop - low, 0)
    launch(nest_5, blocks, THREADS, stream, d_w2, low, stop)
    launch(alone, 1, 1, stream, result, value)
