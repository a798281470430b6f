// Functions that JavaScript's Math lacks, or has with other results at special points. javascript.py puts those that a
// kernel calls below it, and those that they call. Two empty lines stand between functions, none inside.
//
// Polynomials whose coefficients are no closed forms are Chebyshev interpolants of the function that is named, computed
// with 60 digits and cut where a term is below 5e-18 of the first. All functions are right to a few units in the last
// place; gamma, of large numbers by Stirling's formula, to 1e-15.


/** c[0] + c[1]*x + c[2]*x**2 + ..., by Horner's rule. */
function polynomial(c, x) {
    let sum = c[c.length - 1];
    for (let k = c.length - 2; k >= 0; k--) sum = sum * x + c[k];
    return sum;
}


/** The larger of two numbers; NaN if either is. */
function max(a, b) {
    return a > b || a !== a ? a : b;
}


/** The smaller of two numbers; NaN if either is. */
function min(a, b) {
    return a < b || a !== a ? a : b;
}


/** a modulo b, of the sign of b, as Python's a % b. */
function floored_mod(a, b) {
    const rest = a % b; // exact, of the sign of a
    if (rest === 0) return b < 0 ? -0 : 0;
    return rest < 0 !== b < 0 ? rest + b : rest;
}


/** The square root; of -0 it is 0, as 1/sqrt(x) is infinity there. */
function sqrt(x) {
    return Math.abs(Math.sqrt(x));
}


/** The principal cube root, NaN for x < 0; of -0 it is 0. */
function cbrt(x) {
    return x >= 0 ? Math.abs(Math.cbrt(x)) : NaN;
}


/** The power, 1 also for 1**NaN and (-1)**Infinity, as IEEE 754 has it. */
function pow(a, b) {
    return a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : Math.pow(a, b);
}


/** x*x, less what rounding made of it: exact, by Dekker's product (Numerische Mathematik 18, 1971). */
function square_error(x) {
    const shifted = 134217729 * x; // 2**27 + 1: the halves of x have 26 bits
    const high = shifted - (shifted - x);
    const low = x - high;
    return high * high - x * x + 2 * high * low + low * low;
}


/** sqrt(a*a + b*b) without overflow. One step of Newton's, with exact squares, mends the rounding of the root. */
function hypot(a, b) {
    if (Math.abs(a) === Infinity || Math.abs(b) === Infinity) return Infinity;
    let x = Math.max(Math.abs(a), Math.abs(b));
    let y = Math.min(Math.abs(a), Math.abs(b));
    if (!(y > x * 2 ** -54)) return x + y; // and where one is NaN
    const scale = x > 2 ** 500 ? 2 ** -600 : x < 2 ** -400 ? 2 ** 700 : 1;
    x *= scale;
    y *= scale;
    const root = Math.sqrt(x * x + y * y);
    const rest = x * x - root * root + y * y + (square_error(x) - square_error(root) + square_error(y));
    return (root + rest / (2 * root)) / scale;
}


const ERFC_FIT = [
    1.2329951186255526, -0.12216847723549216, -0.003496013513368307, 0.04665458534673942, -0.04180651066501206,
    0.022801799598951192, -0.008073603938415275, 0.0013920612482762244, 0.0002474037667962374,
    -0.00019788758774368442, 1.7479093456120592e-5, 1.8863176334576534e-5, -4.577221716433358e-6,
    -1.91349979221878e-6, 7.23761458407821e-7, 2.407551509427643e-7, -1.0493633580911821e-7, -3.8240659543339904e-8,
    1.4295999799846825e-8, 6.7390541236444035e-9, -1.643119085550757e-9, -1.0399737796333346e-9,
    1.1538605803611994e-10, 9.398532376264554e-11,
];
/**
 * erfc(x) for x >= 0.5: (1 + 2*x)*exp(x*x)*erfc(x) is a polynomial in (x - 4)/(x + 3).
 * M. M. Shepherd and J. G. Laframboise, Mathematics of Computation 36 (1981); with a mapping of our own.
 */
function erfc_tail(x) {
    if (x > 28) return 0;
    const near = Math.round(x * 16) / 16; // its square is exact, and the rest is small
    const rest = Math.exp((near - x) * (near + x));
    return Math.exp(-near * near) * ((rest * polynomial(ERFC_FIT, (x - 4) / (x + 3))) / (1 + 2 * x));
}


const ERF_SERIES = [
    1, -1 / 3, 1 / 10, -1 / 42, 1 / 216, -1 / 1320, 1 / 9360, -1 / 75600, 1 / 685440, -1 / 6894720, 1 / 76204800,
    -1 / 918086400, 1 / 11975040000, -1 / 168129561600, 1 / 2528170444800, -1 / 40537905408000,
    1 / 690452066304000, -1 / 12449059983360000, 1 / 236887827111936000,
];
/** The error function: its Maclaurin series (DLMF 7.6.1) below 1. */
function erf(x) {
    if (Math.abs(x) >= 1) return Math.sign(x) * (1 - erfc_tail(Math.abs(x)));
    return 1.1283791670955126 * (x * polynomial(ERF_SERIES, x * x)); // 2/sqrt(pi)
}


/** The complementary error function. */
function erfc(x) {
    return x < 0.5 ? 1 - erf(x) : erfc_tail(x);
}


/** What Stirling's formula lacks: log(gamma(x)) - (x - 1/2)*log(x) + x - log(2*pi)/2 for x >= 12 (DLMF 5.11.1). */
function stirling_rest(x) {
    const s = 1 / (x * x);
    const inner = 1 / 1680 - s * (1 / 1188 - s * (691 / 360360 - s / 156));
    return (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * inner))) / x;
}


const RECIPROCAL_GAMMA_SERIES = [
    1, 0.5772156649015329, -0.6558780715202539, -0.04200263503409524, 0.16653861138229148, -0.04219773455554433,
    -0.009621971527876973, 0.0072189432466631, -0.0011651675918590652, -0.00021524167411495098, 0.0001280502823881162,
    -2.013485478078824e-5, -1.2504934821426706e-6, 1.133027231981696e-6, -2.056338416977607e-7, 6.116095104481416e-9,
    5.002007644469223e-9, -1.18127457048702e-9, 1.0434267116911005e-10, 7.782263439905071e-12, -3.696805618642206e-12,
];
/** gamma(x): the series of 1/gamma(1 + z) (DLMF 5.7.1) with the recurrence; Stirling's formula beyond 12. */
function gamma(x) {
    const n = Math.round(x);
    const z = x - n; // exact; so is z + k on the way from z to x
    if (x === 0) return 1 / x;
    if (z === 0 && x < 0) return NaN;
    if (Math.abs(x) <= 12) {
        let product = 1;
        for (let k = n - 1; k > 0; k--) product *= z + k;
        for (let k = n; k <= 0; k++) product *= z + k;
        const reciprocal = polynomial(RECIPROCAL_GAMMA_SERIES, z);
        return n > 0 ? product / reciprocal : 1 / (product * reciprocal);
    }
    if (x > 172) return Infinity;
    const sine = (n % 2 === 0 ? 1 : -1) * Math.sin(Math.PI * z); // of pi*x
    if (x < -190) return 0 * sine;
    const size = Math.abs(x);
    const root = Math.pow(size, size / 2 - 0.25); // size**(size - 1/2) overflows before gamma(size)
    const rest = root * Math.exp(-size) * (2.5066282746310007 * Math.exp(stirling_rest(size))); // sqrt(2*pi)
    return x > 0 ? root * rest : -Math.PI / (x * sine) / rest / root; // reflected: DLMF 5.5.3
}


const LOGGAMMA_FIT = [
    0.4831289505409809, -0.43787968774291824, 0.1283229219281649, -0.15080363092804075, 0.08530564281503979,
    -0.09321052269727352, 0.06382812032341074, -0.06769490439730792, 0.050915757567650585, -0.053194693771754356,
    0.0423266427773372, -0.043826369916329704, 0.036214849568116304, -0.037277937969888576, 0.03155459591380018,
    -0.03232028824985468, 0.028924539579234937, -0.029711965426026585, 0.019907457889658562, -0.019656589114259253,
    0.04115275013333885, -0.04295102104561787,
];
/** log(gamma(1 + t)) for 1 + t from 0.75 to 3: by its zeros at 1 and 2, and a polynomial in (x - 1.5)/(x + 1.5). */
function loggamma_near(t) {
    return t * (t - 1) * polynomial(LOGGAMMA_FIT, (t - 0.5) / (t + 2.5));
}


/** The logarithm of gamma(x) for x >= 0, NaN below: the recurrence to a fit, Stirling's formula from 12 on. */
function loggamma(x) {
    if (!(x >= 0)) return NaN;
    if (x >= 12) return (x - 0.5) * (Math.log(x) - 1) + (0.4189385332046727 + stirling_rest(x)); // (log(2*pi) - 1)/2
    if (x < 0.75) return loggamma_near(x) - Math.log(x);
    let product = 1;
    while (x >= 3) {
        x -= 1;
        product *= x;
    }
    return Math.log(product) + loggamma_near(x - 1);
}


const DIGAMMA_FIT = [
    1.4265838140477494, 0.9468442323289264, 0.38152097804640256, 0.30044541458146823, 0.22394879559694333,
    0.1840048392729989, 0.154966484653367, 0.1341449377958944, 0.11821344637542223, 0.10568555910312946,
    0.09556083709179879, 0.087210237773122, 0.08021476226757705, 0.07425533458384552, 0.06893525837879598,
    0.06442507764202741, 0.062480360959346046, 0.05925849257567353, 0.04283839442616786, 0.03920982227685203,
    0.08735286765553467, 0.0857307031017269,
];
/** digamma(x) for x from 0.75 to 3: by its zero, its pole at 0, and a polynomial in (x - 1.5)/(x + 1.5). */
function digamma_near(x) {
    const beyond = x - 1.4616321449683622 - 9.549995429965697e-17; // the zero has more digits than one number
    return (beyond / x) * polynomial(DIGAMMA_FIT, (x - 1.5) / (x + 1.5));
}


/** The derivative of the logarithm of gamma(x): recurrence to a fit, reflection, series (DLMF 5.5.2, 5.5.4, 5.11.2). */
function digamma(x) {
    if (x <= 0) {
        const z = x - Math.round(x); // exact
        return z === 0 ? NaN : digamma(1 - x) - Math.PI / Math.tan(Math.PI * z);
    }
    if (x < 0.75) return digamma_near(x + 1) - 1 / x;
    let sum = 0;
    while (x >= 3 && x < 10) {
        x -= 1;
        sum += 1 / x;
    }
    if (x < 3) return sum + digamma_near(x);
    const s = 1 / (x * x);
    const inner = 1 / 240 - s * (1 / 132 - s * (691 / 32760 - s / 12));
    return Math.log(x) - 0.5 / x - s * (1 / 12 - s * (1 / 120 - s * (1 / 252 - s * inner)));
}


const POLYGAMMA_SERIES = [
    1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000, 1 / 74724249600,
    -3617 / 10670622842880000,
];
/** n!/x**(n + 1), without an overflow on the way. */
function factorial_by_power(n, x) {
    let found = 1 / x;
    for (let k = 1; k <= n; k++) found *= k / x;
    return found;
}


/** The size of polygamma(n, x) for x > 0: terms of its sum, then Euler-Maclaurin (DLMF 5.15.1, 25.11.43). */
function polygamma_of_positive(n, x) {
    let total = 0;
    while (x < n + 10) {
        total += factorial_by_power(n, x);
        x += 1;
    }
    let rest = 0;
    for (let j = POLYGAMMA_SERIES.length - 1; j >= 0; j--) {
        rest = POLYGAMMA_SERIES[j] + ((n + 2 * j + 2) * (n + 2 * j + 3) * rest) / (x * x);
    }
    const lead = factorial_by_power(n - 1, x);
    return total + (lead + lead * (n / x) * (0.5 + ((n + 1) / x) * rest));
}


/** The n-th derivative of digamma(x), n >= 1; for x < 0 the sum on both sides of the nearest pole. */
function polygamma(n, x) {
    const is_odd = n % 2 === 1;
    let size;
    if (x > 0) {
        size = polygamma_of_positive(n, x);
    } else {
        const rest = x - Math.round(x); // exact
        if (rest === 0) return is_odd ? Infinity : NaN;
        const beyond = polygamma_of_positive(n, 1 - rest) - polygamma_of_positive(n, 1 - x);
        size = factorial_by_power(n, rest) + polygamma_of_positive(n, 1 + rest) + (is_odd ? beyond : -beyond);
    }
    return is_odd ? size : -size;
}


const SINC_SLOPE_SERIES = [
    -1 / 3, 1 / 30, -1 / 840, 1 / 45360, -1 / 3991680, 1 / 518918400, -1 / 93405312000, 1 / 22230464256000,
    -1 / 6758061133824000, 1 / 2554547108585472000,
];
/** The derivative of sin(x)/x; near 0 by its Maclaurin series, where the quotient cancels. */
function sinc_slope(x) {
    if (Math.abs(x) < 1.2) return x * polynomial(SINC_SLOPE_SERIES, x * x);
    return (Math.cos(x) - Math.sin(x) / x) / x;
}


/** j(x)/x**n of the spherical Bessel function of order n: its series, or recurrence (DLMF 10.53.1, 10.51.1). */
function bessel_ratio(n, x) {
    const s = x * x;
    if (Math.abs(x) < n + 0.5) {
        let total = 1;
        let term = 1;
        for (let k = 1; Math.abs(term) > 1e-17 * Math.abs(total); k++) {
            term *= -s / (2 * k * (2 * (n + k) + 1));
            total += term;
        }
        for (let k = 1; k <= n; k++) total /= 2 * k + 1;
        return total;
    }
    let before = Math.cos(x);
    let here = Math.sin(x) / x;
    for (let k = 1; k <= n; k++) [before, here] = [here, ((2 * k - 1) * here - before) / s];
    return here;
}


/** `taken` where a > b, `tie` where a === b, 0 where a < b; NaN where a or b is: the derivative of a maximum. */
function where_larger(a, b, taken, tie) {
    if (a > b) return taken;
    if (a < b) return 0;
    return a === b ? tie : NaN;
}
