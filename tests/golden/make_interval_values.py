"""Prints the values that tests/unit/metrics/intervals_test.cc expects, computed with numpy.

mt19937_64 is written out here (its parameters are those of the C++ standard, which also gives its 10000th
value after seeding with 5489), so the bootstrap's index matrix is checked by a second implementation.
"""

import math

import numpy as np

MASK = 2**64 - 1
NODES, WEIGHTS = np.polynomial.legendre.leggauss(100)


class Mt19937_64:
    def __init__(self, seed):
        self.state = [seed & MASK]
        for i in range(1, 312):
            before = self.state[-1]
            self.state.append((6364136223846793005 * (before ^ (before >> 62)) + i) & MASK)
        self.next = 312

    def __call__(self):
        if self.next == 312:
            for i in range(312):
                x = (self.state[i] & 0xFFFFFFFF80000000) | (self.state[(i + 1) % 312] & 0x7FFFFFFF)
                self.state[i] = self.state[(i + 156) % 312] ^ (x >> 1) ^ (0xB5026F5AA96619E9 if x & 1 else 0)
            self.next = 0
        x = self.state[self.next]
        self.next += 1
        x ^= (x >> 29) & 0x5555555555555555
        x ^= (x << 17) & 0x71D67FFFEDA60000
        x ^= (x << 37) & 0xFFF7EEE000000000
        return x ^ (x >> 43)


def index_matrix(samples, replicates=1000, seed=12345):
    random = Mt19937_64(seed)
    return np.array([[(random() * samples) >> 64 for _ in range(samples)] for _ in range(replicates)])


def log_perplexity(nll, tokens):
    n, r = len(nll), nll.sum() / tokens.sum()
    return r, math.sqrt(n / (n - 1) * ((nll - r * tokens) ** 2).sum()) / tokens.sum()


def t_below(x, freedom):
    """P(T < x) of Student's distribution: with t = sqrt(freedom) tan(angle) its density is cos(angle)^(freedom - 1)."""
    def area(end):
        half = (end + math.pi / 2) / 2
        return (WEIGHTS * np.cos(half * (NODES + 1) - math.pi / 2) ** (freedom - 1)).sum() * half
    return area(math.atan(x / math.sqrt(freedom))) / area(math.pi / 2)


def t_quantile(share, freedom):
    low, high = -1e6, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if t_below(middle, freedom) < share else (low, middle)
    return low


def log_ratio_error(values, weights, rows):
    """Estimate and standard error of sum(values) / sum(weights) for every row of indices, each written out by itself."""
    n = rows.shape[1]
    estimates, errors = [], []
    for row in rows:
        v, w = values[row], weights[row]
        r = v.sum() / w.sum()
        estimates.append(r)
        errors.append(math.sqrt(n / (n - 1) * ((v - r * w) ** 2).sum()) / w.sum())
    return np.array(estimates), np.array(errors)


def bootstrap_t(value, error, estimates, errors, n):
    """Interval and p-value."""
    pivots = (estimates - value) / np.maximum(errors, error / 4)
    low, high = np.percentile(pivots, [2.5, 97.5])
    normal = t_quantile(0.975, n - 1)
    critical = max(high if value > 0 else -low, normal / 4)
    p = 2 * t_below(-abs(value / error) * normal / critical, n - 1)
    return value - high * error, value - low * error, p


def of_ratio(values, weights, rows=None):
    whole = np.arange(len(values))[None]
    rows = index_matrix(len(values)) if rows is None else rows
    (value,), (error,) = log_ratio_error(values, weights, whole)
    return bootstrap_t(value, error, *log_ratio_error(values, weights, rows), len(values))


def of_perplexity_difference(nll_a, nll_b, tokens, rows):
    """Perplexity of a minus that of b, by the delta method in every resample."""
    n = len(tokens)

    def estimate(row):
        a, b, w = nll_a[row], nll_b[row], tokens[row]
        ra, rb = a.sum() / w.sum(), b.sum() / w.sum()
        rest = math.exp(ra) * (a - ra * w) - math.exp(rb) * (b - rb * w)
        return math.exp(ra) - math.exp(rb), math.sqrt(n / (n - 1) * (rest**2).sum()) / w.sum()
    value, error = estimate(np.arange(n))
    estimates, errors = np.array([estimate(row) for row in rows]).T
    return value, error, bootstrap_t(value, error, estimates, errors, n)


def main():
    np.set_printoptions(precision=17)
    random = Mt19937_64(5489)
    for _ in range(9999):
        random()
    assert random() == 9981545732273789042

    a = np.array([0.2, 0.5, 0.1, 0.9, 0.4, 0.4, 0.7])
    b = np.array([0.1, 0.6, 0.05, 0.7, 0.45, 0.3, 0.5])
    nll_a = np.array([12.5, 3.25, 40, 7.75, 22, 9.5, 15])
    nll_b = np.array([14, 3.5, 38, 9, 25.5, 9.25, 17])
    tokens = np.array([10.0, 4, 25, 6, 12, 8, 9])
    rows = index_matrix(7)
    print("index matrix, first and last row:", rows[0], rows[-1])

    ones = np.ones(7)
    print("mean", a.mean(), "standard error", a.std(ddof=1) / math.sqrt(7), "bootstrap-t", of_ratio(a, ones)[:2])
    r, error = log_perplexity(nll_a, tokens)
    print("log perplexity", r, "standard error", error, "delta", math.exp(r - 1.96 * error), math.exp(r + 1.96 * error))
    print("perplexity, bootstrap-t", np.exp(of_ratio(nll_a, tokens)[:2]))

    each = a - b
    print("difference of means", each.mean(), each.std(ddof=1) / math.sqrt(7), of_ratio(each, ones))
    each = nll_a - nll_b
    r, error = log_perplexity(each, tokens)
    print("difference of log perplexities", r, error, of_ratio(each, tokens))
    print("difference of perplexities", of_perplexity_difference(nll_a, nll_b, tokens, rows))

    # Samples 0, 2 and 6 are of one cluster, 1 and 4 of another.
    clusters = [[0, 2, 6], [1, 4], [3], [5]]
    summed = lambda values: np.array([values[list(cluster)].sum() for cluster in clusters])
    sizes, rows4 = summed(ones), index_matrix(4)
    r, error = log_perplexity(summed(a), sizes)
    print("clusters: mean", r, "standard error", error, "bootstrap-t", of_ratio(summed(a), sizes, rows4)[:2])
    print("clusters: perplexity", np.exp(of_ratio(summed(nll_a), summed(tokens), rows4)[:2]))
    print("clusters: difference of log perplexities", of_ratio(summed(nll_a - nll_b), summed(tokens), rows4))

    print("Student's t", [t_below(-2.5, 3), t_below(1.25, 1), t_below(-6, 31)],
          [t_quantile(0.975, 1), t_quantile(0.975, 7), t_quantile(0.01, 30)])


if __name__ == "__main__":
    main()
