# f(W1, X, b1, w2, y) = sum over k of (-y[k] + sum over i of w2[i] * max(0, b1[i] + sum over j of W1[j, i] * X[k,
#     j]))**2
@njit(**NEST)
def nest_1(b1, total_1, sum_1, hidden, w2, scores, h, count):
    """forward: sum_1[i, k] = b1[i] + total_1[i, k], hidden[i, k] = max(0, sum_1[i, k]), scores[k] = sum over i ..."""
    wide_and_unaliased()
    for i in range(h):
        b1_i = b1[i]
        w2_i = w2[i]
        for k in range(count):
            sum_1_ik = b1_i + total_1[i, k]
            sum_1[i, k] = sum_1_ik
            hidden_ik = max(0.0, sum_1_ik)
            hidden[i, k] = hidden_ik
            scores[k] = running_sum(scores[k], w2_i * hidden_ik)


@njit(**NEST)
def nest_2(scores, y_block, sum_2, value, d_sum_2, d_y_block, count):
    """forward and backward: sum_2[k] = scores[k] - y[k], value = sum over k of sum_2[k] * sum_2[k], d_sum_2, d_y"""
    wide_and_unaliased()
    value_sum = real(0.0)
    for k in range(count):
        sum_2_k = scores[k] - y_block[k]
        sum_2[k] = sum_2_k
        value_sum = running_sum(value_sum, sum_2_k * sum_2_k)
        d_sum_2_k = 2.0 * sum_2_k
        d_sum_2[k] = d_sum_2_k
        d_y_block[k] = -d_sum_2_k  # d value / d y
    value[0] = value[0] + value_sum


@njit(**NEST)
def nest_3(sum_1, d_sum_2, w2, sum_2, d_sum_1, d_b1, hidden, d_w2, h, count):
    """backward: d_sum_1, d_b1, d_w2"""
    wide_and_unaliased()
    for i in range(h):
        w2_i = w2[i]
        d_b1_i = real(0.0)
        d_w2_i = real(0.0)
        for k in range(count):
            d_sum_1_ik = where_larger(sum_1[i, k], 0.0, d_sum_2[k] * w2_i, sum_2[k] * w2_i)
            d_sum_1[i, k] = d_sum_1_ik
            d_b1_i = running_sum(d_b1_i, d_sum_1_ik)  # d value / d b1
            d_w2_i = running_sum(d_w2_i, sum_2[k] * hidden[i, k])
        d_b1[i] = d_b1[i] + d_b1_i
        d_w2[i] = d_w2[i] + d_w2_i


@njit(**NEST)
def nest_4(d_X_total, d_X_block, d, count):
    """backward: d_X"""
    wide_and_unaliased()
    for j in range(d):
        for k in range(count):
            d_X_block[j, k] = d_X_total[j, k]  # d value / d X


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
        # forward: total_1[i, k] = sum over j of W1[j, i] * X[k, j]
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
    # over k, a part at a time: each has sums of its own, which are joined in order
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
    # over k, a part at a time: each has sums of its own, which are joined in order
    walk(
        pass_1, 0, n, (d, h, n, W1, X, b1, w2, y, d_X, d_y), (value, d_W1, d_b1, d_w2), ("sum", "sum", "sum", "sum")
    )
    result = outside(h, value, d_w2)
    return result
