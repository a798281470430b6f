// f(W1, X, b1, w2, y) = sum over i of (-y[i] + sum over j of w2[j] * max(0, b1[j] + sum over k of W1[k, j] * X[i,
//     k]))**2
export function kernel(W1, X, b1, w2, y) {
    let d, h, n;
    [W1, X, b1, w2, y, d, h, n] = checked([W1, X, b1, w2, y], ["d", "h", "n"]);
    let value = 0;
    const d_W1 = new REAL(d * h);
    const d_b1 = new REAL(h);
    const d_w2 = new REAL(h);
    const total_1 = new REAL(h);
    const sum_1 = new REAL(h);
    const hidden = new REAL(h);
    const d_y = new REAL(n);
    const d_sum_1 = new REAL(h);
    const d_X_total = new REAL(d);
    const d_X = new REAL(n * d);
    for (let i = 0; i < n; i++) {
        // forward: total_1[j, i] = sum over k of W1[k, j] * X[i, k]
        for (let j = 0; j < h; j++) {
            let sum = 0;
            for (let k = 0; k < d; k++) {
                sum += W1[k * h + j] * X[i * d + k];
            }
            total_1[j] = sum;
        }
        let scores = 0;
        // forward: sum_1[j, i] = b1[j] + total_1[j, i], hidden[j, i] = max(0, sum_1[j, i]), scores[i] = sum over j ...
        for (let j = 0; j < h; j++) {
            const sum_1_ji = b1[j] + total_1[j];
            sum_1[j] = sum_1_ji;
            const hidden_ji = max(0, sum_1_ji);
            hidden[j] = hidden_ji;
            scores += w2[j] * hidden_ji;
        }
        // forward and backward: sum_2[i] = scores[i] - y[i], value = sum over i of sum_2[i] * sum_2[i], d_sum_2, d_y
        const sum_2_i = scores - y[i];
        const sum_2 = sum_2_i;
        value += sum_2_i * sum_2_i;
        const d_sum_2_i = 2 * sum_2_i;
        const d_sum_2 = d_sum_2_i;
        d_y[i] = -d_sum_2_i; // d value / d y
        // backward: d_sum_1, d_b1, d_w2
        for (let j = 0; j < h; j++) {
            const d_sum_1_ji = where_larger(sum_1[j], 0, d_sum_2 * w2[j], sum_2 * w2[j]);
            d_sum_1[j] = d_sum_1_ji;
            d_b1[j] += d_sum_1_ji; // d value / d b1
            d_w2[j] += sum_2 * hidden[j];
        }
        // backward: d_W1
        for (let j = 0; j < d; j++) {
            const factor = X[i * d + j];
            for (let k = 0; k < h; k++) {
                d_W1[j * h + k] += factor * d_sum_1[k];
            }
        }
        // backward: d_X_total
        for (let j = 0; j < d; j++) {
            let sum = 0;
            for (let k = 0; k < h; k++) {
                sum += W1[j * h + k] * d_sum_1[k];
            }
            d_X_total[j] = sum;
        }
        // backward: d_X
        for (let j = 0; j < d; j++) {
            d_X[i * d + j] = d_X_total[j]; // d value / d X
        }
    }
    // backward: d_b1, d_w2
    for (let i = 0; i < h; i++) {
        d_w2[i] = 2 * d_w2[i]; // d value / d w2
    }
    const result = value;
    return [result, [shaped(d_W1, d, h), shaped(d_X, n, d), shaped(d_b1, h), shaped(d_w2, h), shaped(d_y, n)]];
}
