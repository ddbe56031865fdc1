"""The intervals of lib/metrics/intervals: the same random numbers, the same resampled samples, the same percentiles, so that
pictures and `elastikv report` say the same."""

import functools
import math

import numpy as np

# mt19937_64 as the C++ standard fixes it ([rand.predef]).
WORDS, MIDDLE = 312, 156
UPPER, LOWER = np.uint64(0xFFFFFFFF80000000), np.uint64(0x7FFFFFFF)
TWIST = np.uint64(0xB5026F5AA96619E9)
MASK_64 = 0xFFFFFFFFFFFFFFFF


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


class Bootstrap:
    """Estimates with 95 % percentile intervals over samples: (value, low, high), or None when there is none. Of a single
    sample nothing is known about the spread: low and high are then the value."""

    def __init__(self, replicates, seed):
        self.replicates, self.seed = replicates, seed

    def resampled_sums(self, values):
        sums = np.zeros(self.replicates)
        for column in resampled_indices(self.replicates, self.seed, len(values)).T:
            sums += values[column]
        return sums

    @staticmethod
    def around(value, replicates):
        ascending = sorted(replicates)
        return value, float(percentile(ascending, 0.025)), float(percentile(ascending, 0.975))

    def mean(self, values):
        """Over one number per sample."""
        values = np.asarray(values, dtype=float)
        if len(values) == 0 or not np.isfinite(values).all():
            return None
        value = total(values) / len(values)
        if len(values) < 2:
            return value, value, value
        return self.around(value, self.resampled_sums(values) / len(values))

    def perplexity(self, rows):
        """exp of the ratio of sums over (NLL, tokens) per sample; samples without tokens do not count."""
        rows = np.array([row for row in rows if row[1] > 0], dtype=float).reshape(-1, 2)
        if len(rows) == 0 or not np.isfinite(rows).all():
            return None
        value = exp(total(rows[:, 0]) / total(rows[:, 1]))
        if not math.isfinite(value):
            return None
        if len(rows) < 2:
            return value, value, value
        ratios = self.resampled_sums(rows[:, 0]) / self.resampled_sums(rows[:, 1])
        return self.around(value, [exp(ratio) for ratio in ratios])


def exp(x):
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf
