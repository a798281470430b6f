// f(W1, X, b1, w2, y) = sum over k of (-y[k] + sum over i of w2[i] * max(0, b1[i] + sum over j of W1[j, i] * X[k,
//     j]))**2
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
    for (let k = 0; k < n; k++) {
        // forward: total_1[i, k] = sum over j of W1[j, i] * X[k, j]
        for (let i = 0; i < h; i++) {
            let sum = 0;
            for (let j = 0; j < d; j++) {
                sum += W1[j * h + i] * X[k * d + j];
            }
            total_1[i] = sum;
        }
        let scores = 0;
        // forward: sum_1[i, k] = b1[i] + total_1[i, k], hidden[i, k] = max(0, sum_1[i, k]), scores[k] = sum over i ...
        for (let i = 0; i < h; i++) {
            const sum_1_ik = b1[i] + total_1[i];
            sum_1[i] = sum_1_ik;
            const hidden_ik = max(0, sum_1_ik);
            hidden[i] = hidden_ik;
            scores += w2[i] * hidden_ik;
        }
        // forward and backward: sum_2[k] = scores[k] - y[k], value = sum over k of sum_2[k] * sum_2[k], d_sum_2, d_y
        const sum_2_k = scores - y[k];
        const sum_2 = sum_2_k;
        value += sum_2_k * sum_2_k;
        const d_sum_2_k = 2 * sum_2_k;
        const d_sum_2 = d_sum_2_k;
        d_y[k] = -d_sum_2_k; // d value / d y
        // backward: d_sum_1, d_b1, d_w2
        for (let i = 0; i < h; i++) {
            const d_sum_1_ik = where_larger(sum_1[i], 0, d_sum_2 * w2[i], sum_2 * w2[i]);
            d_sum_1[i] = d_sum_1_ik;
            d_b1[i] += d_sum_1_ik; // d value / d b1
            d_w2[i] += sum_2 * hidden[i];
        }
        // backward: d_W1
        for (let j = 0; j < d; j++) {
            const factor = X[k * d + j];
            for (let i = 0; i < h; i++) {
                d_W1[j * h + i] += factor * d_sum_1[i];
            }
        }
        // backward: d_X_total
        for (let j = 0; j < d; j++) {
            let sum = 0;
            for (let i = 0; i < h; i++) {
                sum += W1[j * h + i] * d_sum_1[i];
            }
            d_X_total[j] = sum;
        }
        // backward: d_X
        for (let j = 0; j < d; j++) {
            d_X[k * d + j] = d_X_total[j]; // d value / d X
        }
    }
    // backward: d_b1, d_w2
    for (let i = 0; i < h; i++) {
        d_w2[i] = 2 * d_w2[i]; // d value / d w2
    }
    const result = value;
    return [result, [shaped(d_W1, d, h), shaped(d_X, n, d), shaped(d_b1, h), shaped(d_w2, h), shaped(d_y, n)]];
}
