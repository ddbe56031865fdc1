"""Prints the values that tests/unit/metrics/intervals_test.cc expects, computed with numpy.

mt19937_64 is written out here (its parameters are those of the C++ standard, which also gives its 10000th
value after seeding with 5489), so the bootstrap's index matrix is checked by a second implementation.
"""

import math

import numpy as np

MASK = 2**64 - 1


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


def p_value(observed, replicates):
    beyond = np.abs(replicates - replicates.mean()) >= abs(observed) * (1 - 1e-12)
    return (beyond.sum() + 1) / (len(replicates) + 1)


def interval(replicates):
    return np.percentile(replicates, [2.5, 97.5])


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

    print("mean", a.mean(), "standard error", a.std(ddof=1) / math.sqrt(7), "bootstrap", interval(a[rows].mean(1)))
    r, error = log_perplexity(nll_a, tokens)
    print("log perplexity", r, "standard error", error, "delta", math.exp(r - 1.96 * error), math.exp(r + 1.96 * error))
    print("perplexity, bootstrap", interval(np.exp(nll_a[rows].sum(1) / tokens[rows].sum(1))))

    each = a - b
    replicates = each[rows].mean(1)
    print("difference of means", each.mean(), each.std(ddof=1) / math.sqrt(7), interval(replicates),
          p_value(each.mean(), replicates))
    each = nll_a - nll_b
    replicates = each[rows].sum(1) / tokens[rows].sum(1)
    r, error = log_perplexity(each, tokens)
    print("difference of log perplexities", r, error, interval(replicates), p_value(r, replicates))


if __name__ == "__main__":
    main()
