# f(W1, X, b1, w2, y) = sum over i of (-y[i] + sum over j of w2[j] * max(0, b1[j] + sum over k of W1[k, j] * X[i,
#     k]))**2
@njit(**NEST)
def nest_1(b1, total_1, sum_1, hidden, w2, scores, h, count):
    """forward: sum_1[j, i] = b1[j] + total_1[j, i], hidden[j, i] = max(0, sum_1[j, i]), scores[i] = sum over j ..."""
    wide_and_unaliased()
    for j in range(h):
        b1_j = b1[j]
        w2_j = w2[j]
        for i in range(count):
            sum_1_ji = b1_j + total_1[j, i]
            sum_1[j, i] = sum_1_ji
            hidden_ji = max(0.0, sum_1_ji)
            hidden[j, i] = hidden_ji
            scores[i] = running_sum(scores[i], w2_j * hidden_ji)


@njit(**NEST)
def nest_2(scores, y_block, sum_2, value, d_sum_2, d_y_block, count):
    """forward and backward: sum_2[i] = scores[i] - y[i], value = sum over i of sum_2[i] * sum_2[i], d_sum_2, d_y"""
    wide_and_unaliased()
    value_sum = real(0.0)
    for i in range(count):
        sum_2_i = scores[i] - y_block[i]
        sum_2[i] = sum_2_i
        value_sum = running_sum(value_sum, sum_2_i * sum_2_i)
        d_sum_2_i = 2.0 * sum_2_i
        d_sum_2[i] = d_sum_2_i
        d_y_block[i] = -d_sum_2_i  # d value / d y
    value[0] = value[0] + value_sum


@njit(**NEST)
def nest_3(sum_1, d_sum_2, w2, sum_2, d_sum_1, d_b1, hidden, d_w2, h, count):
    """backward: d_sum_1, d_b1, d_w2"""
    wide_and_unaliased()
    for j in range(h):
        w2_j = w2[j]
        d_b1_j = real(0.0)
        d_w2_j = real(0.0)
        for i in range(count):
            d_sum_1_ji = where_larger(sum_1[j, i], 0.0, d_sum_2[i] * w2_j, sum_2[i] * w2_j)
            d_sum_1[j, i] = d_sum_1_ji
            d_b1_j = running_sum(d_b1_j, d_sum_1_ji)  # d value / d b1
            d_w2_j = running_sum(d_w2_j, sum_2[i] * hidden[j, i])
        d_b1[j] = d_b1[j] + d_b1_j
        d_w2[j] = d_w2[j] + d_w2_j


@njit(**NEST)
def nest_4(d_X_total, d_X_block, d, count):
    """backward: d_X"""
    wide_and_unaliased()
    for j in range(d):
        for i in range(count):
            d_X_block[j, i] = d_X_total[j, i]  # d value / d X


@njit(**OPTIONS)
def pass_1(start, stop, d, h, n, W1, X, b1, w2, y, d_X, d_y, value, d_W1, d_b1, d_w2):
    total_1_memory = np.empty(h * 256, real)
    scores_memory = np.empty(256, real)
    sum_1_memory = np.empty(h * 256, real)
    hidden_memory = np.empty(h * 256, real)
    sum_2_memory = np.empty(256, real)
    d_sum_2_memory = np.empty(256, real)
    d_sum_1_memory = np.empty(h * 256, real)
    d_X_total_memory = np.empty(d * 256, real)
    d_X_block_memory = np.empty(d_X.shape[1] * 256, real)
    for first in range(start, stop, 256):
        count = min(256, stop - first)
        total_1 = total_1_memory[:h * count].reshape((h, count))
        scores = scores_memory[:count]
        sum_1 = sum_1_memory[:h * count].reshape((h, count))
        hidden = hidden_memory[:h * count].reshape((h, count))
        sum_2 = sum_2_memory[:count]
        d_sum_2 = d_sum_2_memory[:count]
        d_sum_1 = d_sum_1_memory[:h * count].reshape((h, count))
        d_X_total = d_X_total_memory[:d * count].reshape((d, count))
        d_X_block = d_X_block_memory[:d_X.shape[1] * count].reshape((d_X.shape[1], count))
        # forward: total_1[j, i] = sum over k of W1[k, j] * X[i, k]
        matrix_product(total_1, W1, True, X[first:first + count], True, False)
        scores.fill(0.0)
        nest_1(b1, total_1, sum_1, hidden, w2, scores, h, count)
        nest_2(scores, y[first:first + count], sum_2, value, d_sum_2, d_y[first:first + count], count)
        nest_3(sum_1, d_sum_2, w2, sum_2, d_sum_1, d_b1, hidden, d_w2, h, count)
        # backward: d_W1
        matrix_product(d_W1, X[first:first + count], True, d_sum_1, True, first > start)
        # backward: d_X_total
        matrix_product(d_X_total, W1, False, d_sum_1, False, False)
        nest_4(d_X_total, d_X_block, d, count)
        unpack_2(d_X_block, d_X[first:first + count])


@njit(**OPTIONS)
def outside(h, value, d_w2):
    # backward: d_b1, d_w2
    for i in range(h):
        d_w2[i] = 2.0 * d_w2[i]  # d value / d w2
    result = real(value[0])
    return result


@njit(**OPTIONS)
def kernel(W1, X, b1, w2, y):
    d_W1 = np.empty(W1.shape, real)
    d_X = np.empty(X.shape, real)
    d_b1 = np.empty(b1.shape, real)
    d_w2 = np.empty(w2.shape, real)
    d_y = np.empty(y.shape, real)
    d = W1.shape[0]
    h = W1.shape[1]
    n = X.shape[0]
    value = np.empty((1,), real)
    value.fill(0.0)
    d_W1.fill(0.0)
    d_b1.fill(0.0)
    d_w2.fill(0.0)
    # over i, a part at a time: each has sums of its own, which are joined in order
    part = part_length(n)
    single = part >= n
    value_part = value if single else np.empty_like(value)
    d_W1_part = d_W1 if single else np.empty_like(d_W1)
    d_b1_part = d_b1 if single else np.empty_like(d_b1)
    d_w2_part = d_w2 if single else np.empty_like(d_w2)
    for begin in range(0, n, part):
        if not single:
            value_part.fill(0.0)
            d_W1_part.fill(0.0)
            d_b1_part.fill(0.0)
            d_w2_part.fill(0.0)
        pass_1(
            begin, min(begin + part, n), d, h, n, W1, X, b1, w2, y, d_X, d_y, value_part, d_W1_part, d_b1_part,
            d_w2_part
        )
        if not single:
            value += value_part
            d_W1 += d_W1_part
            d_b1 += d_b1_part
            d_w2 += d_w2_part
    result = outside(h, value, d_w2)
    return result, (d_W1, d_X, d_b1, d_w2, d_y)


def kernel_into(walk, W1, X, b1, w2, y, d_W1, d_X, d_b1, d_w2, d_y):
    """Fills the gradients and returns the value; `walk` runs a pass part by part, see walk_parts."""
    d = W1.shape[0]
    h = W1.shape[1]
    n = X.shape[0]
    value = np.empty((1,), real_name)
    value.fill(0.0)
    d_W1.fill(0.0)
    d_b1.fill(0.0)
    d_w2.fill(0.0)
    # over i, a part at a time: each has sums of its own, which are joined in order
    walk(
        pass_1, 0, n, (d, h, n, W1, X, b1, w2, y, d_X, d_y), (value, d_W1, d_b1, d_w2), ("sum", "sum", "sum", "sum")
    )
    result = outside(h, value, d_w2)
    return result
