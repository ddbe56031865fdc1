"""The intervals of lib/metrics/intervals: the same random numbers, the same resampled clusters of samples, the same bootstrap-t
intervals, so that pictures and `elastikv report` say the same."""

import functools
import math

import numpy as np

# mt19937_64 as the C++ standard fixes it ([rand.predef]).
WORDS, MIDDLE = 312, 156
UPPER, LOWER = np.uint64(0xFFFFFFFF80000000), np.uint64(0x7FFFFFFF)
TWIST = np.uint64(0xB5026F5AA96619E9)
MASK_64 = 0xFFFFFFFFFFFFFFFF

FLOOR = 0.25  # a resample's standard error counts as at least this share of the observed one
ROUNDING = 1e-13  # what rounding can make of a spread of 0, relative to the values


def seeded_words(seed):
    words = [seed & MASK_64]
    for i in range(1, WORDS):
        words.append((6364136223846793005 * (words[-1] ^ (words[-1] >> 62)) + i) & MASK_64)
    return np.array(words, dtype=np.uint64)


def twisted(upper, lower, shifted):
    """The next words of the state from the words that the recurrence names."""
    joined = (upper & UPPER) | (lower & LOWER)
    return shifted ^ (joined >> np.uint64(1)) ^ np.where(joined & np.uint64(1), TWIST, np.uint64(0))


def tempered(words):
    words = words ^ ((words >> np.uint64(29)) & np.uint64(0x5555555555555555))
    words = words ^ ((words << np.uint64(17)) & np.uint64(0x71D67FFFEDA60000))
    words = words ^ ((words << np.uint64(37)) & np.uint64(0xFFF7EEE000000000))
    return words ^ (words >> np.uint64(43))


def mt19937_64(seed, count):
    """The first `count` draws, uint64 [count]."""
    state, draws = seeded_words(seed), []
    for _ in range(-(-count // WORDS)):
        fresh = np.empty_like(state)
        fresh[:MIDDLE] = twisted(state[:MIDDLE], state[1:MIDDLE + 1], state[MIDDLE:])
        fresh[MIDDLE:-1] = twisted(state[MIDDLE:-1], state[MIDDLE + 1:], fresh[:MIDDLE - 1])
        fresh[-1:] = twisted(state[-1:], fresh[:1], fresh[MIDDLE - 1:MIDDLE])
        state = fresh
        draws.append(tempered(state))
    return np.concatenate(draws)[:count] if draws else np.empty(0, dtype=np.uint64)


@functools.lru_cache(maxsize=8)
def resampled_indices(replicates, seed, samples):
    """[replicates, samples]: the upper half of the 128-bit product of each draw and the number of samples."""
    draws = mt19937_64(seed, replicates * samples)
    bound, half = np.uint64(samples), np.uint64(32)
    high = (draws >> half) * bound
    low = ((draws & np.uint64(0xFFFFFFFF)) * bound) >> half
    return ((high + low) >> half).astype(np.uint32).reshape(replicates, samples)


def percentile(ascending, share):
    place = share * (len(ascending) - 1)
    below = int(place)
    if below + 1 == len(ascending):
        return ascending[below]
    return ascending[below] + (ascending[below + 1] - ascending[below]) * (place - below)


def total(values):
    """The sum from the first to the last: numpy's own adds in another order."""
    return float(np.cumsum(values)[-1])


def cluster_sums(values, clusters):
    """Sums over the samples of each cluster, in the order of their first samples. `clusters` has a name per sample; one without
    (None or "") is a cluster of its own."""
    if clusters is None:
        return np.asarray(values, dtype=float)
    sums = {}
    for place, (value, name) in enumerate(zip(values, clusters, strict=True)):
        key = name or place
        sums[key] = sums.get(key, 0.0) + float(value)
    return np.array(list(sums.values()))


class Bootstrap:
    """Estimates with 95 % bootstrap-t intervals over clusters of samples: (value, low, high), or None when there is none. Of a
    single cluster nothing is known about the spread: low and high are then the value. Intervals end where values do (`least`,
    `most`)."""

    def __init__(self, replicates, seed):
        self.replicates, self.seed = replicates, seed

    def resampled_sums(self, values):
        sums = np.zeros(self.replicates)
        for column in resampled_indices(self.replicates, self.seed, len(values)).T:
            sums += values[column]
        return sums

    def ratio(self, values, weights, least=-math.inf, most=math.inf):
        """The sum of `values` over the sum of `weights`, one of each per cluster."""
        value = total(values) / total(weights)
        units = len(values)
        if units < 2:
            return value, value, value
        rest = values - value * weights
        factor = math.sqrt(units / (units - 1))
        error = factor * math.sqrt(total(rest * rest)) / total(weights)
        if error * total(weights) <= ROUNDING * total(np.abs(values)):
            return value, value, value
        sums = self.resampled_sums(weights)
        shift = self.resampled_sums(rest) / sums
        squares = (self.resampled_sums(rest * rest) - 2 * shift * self.resampled_sums(rest * weights)
                   + shift * shift * self.resampled_sums(weights * weights))
        own_errors = factor * np.sqrt(np.maximum(squares, 0)) / sums
        pivots = sorted(shift / np.maximum(own_errors, FLOOR * error))
        return (value, max(least, float(value - percentile(pivots, 0.975) * error)),
                min(most, float(value - percentile(pivots, 0.025) * error)))

    def mean(self, values, clusters=None, least=-math.inf, most=math.inf):
        """Over one number per sample."""
        values = np.asarray(values, dtype=float)
        if len(values) == 0 or not np.isfinite(values).all():
            return None
        return self.ratio(cluster_sums(values, clusters), cluster_sums(np.ones(len(values)), clusters), least, most)

    def perplexity(self, rows, clusters=None):
        """exp of the ratio of sums over (NLL, tokens) per sample; samples without tokens do not count."""
        counted = [row[1] > 0 for row in rows]
        rows = np.array([row for row, counts in zip(rows, counted) if counts], dtype=float).reshape(-1, 2)
        if clusters is not None:
            clusters = [name for name, counts in zip(clusters, counted, strict=True) if counts]
        if len(rows) == 0 or not np.isfinite(rows).all():
            return None
        # The logarithm of a perplexity is at least 0.
        bounds = tuple(map(exp, self.ratio(cluster_sums(rows[:, 0], clusters), cluster_sums(rows[:, 1], clusters), least=0)))
        return bounds if math.isfinite(bounds[0]) else None


def exp(x):
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf
