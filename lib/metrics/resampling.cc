// The draws of a bootstrap, and sums over them.
#include <algorithm>
#include <array>
#include <cstring>
#include <random>

#include <ATen/Parallel.h>

#include "base/error.h"
#include "metrics/intervals.h"

namespace elastikv {
namespace {

/// The upper 64 bits of draw * bound, for a bound below 2^32.
uint64_t index_below(uint64_t bound, uint64_t draw) {
  const uint64_t high = draw >> 32;
  const uint64_t low = draw & 0xFFFFFFFFU;
  return (high * bound + (low * bound >> 32)) >> 32;
}

/// Replicates that are summed up side by side.
constexpr size_t kBlock = 8;
/// Counts that are kept for the next columns rather than drawn again: 64 MiB.
constexpr size_t kMostKeptCounts = size_t{1} << 26;

/// Additions that are worth waking a thread for.
constexpr size_t kMuch = 1'000'000;

/// How often each unit is drawn in each replicate of a block: counts[unit * kBlock + replicate].
void draw_block(std::mt19937_64& random, size_t replicates, size_t units, uint8_t* counts) {
  std::fill_n(counts, units * kBlock, uint8_t{0});
  for (size_t b = 0; b < replicates; ++b) {
    for (size_t i = 0; i < units; ++i) {
      uint8_t& count = counts[index_below(units, random()) * kBlock + b];
      ELASTIKV_ASSERT(count < 255, "a unit drawn {} times of {} draws", count, units);
      ++count;
    }
  }
}

/// As wide as every processor's vectors are. A unit after the other is added, so that the sums are
/// the same to the last bit everywhere.
using Pair [[gnu::vector_size(2 * sizeof(double))]] = double;

/// Adds up `Width` columns over a block's draws; times[unit * kBlock + replicate]. The sums go to
/// sums[c] from `begin` on, as far as they reach.
template <size_t Width>
void add_up_columns(const std::vector<double>& times, const std::span<const double>* columns,
                    std::vector<double>* sums, size_t begin) {
  constexpr size_t kPairs = kBlock / 2;
  Pair totals[Width][kPairs] = {};
  const size_t units = columns[0].size();
  for (size_t i = 0; i < units; ++i) {
    for (size_t p = 0; p < kPairs; ++p) {
      Pair drawn;
      std::memcpy(&drawn, &times[i * kBlock + 2 * p], sizeof drawn);
      for (size_t c = 0; c < Width; ++c) totals[c][p] += drawn * columns[c][i];
    }
  }
  for (size_t c = 0; c < Width; ++c) {
    const size_t count = std::min(kBlock, sums[c].size() - begin);
    std::memcpy(&sums[c][begin], totals[c], count * sizeof(double));
  }
}

/// The same for any number of columns: three at a time, whose totals just fit the registers.
void add_up(const uint8_t* counts, std::span<const std::span<const double>> columns,
            std::vector<std::vector<double>>& sums, size_t begin, std::vector<double>& times) {
  times.assign(counts, counts + columns.front().size() * kBlock);
  size_t first = 0;
  for (; first + 3 <= columns.size(); first += 3)
    add_up_columns<3>(times, &columns[first], &sums[first], begin);
  if (first + 2 == columns.size()) add_up_columns<2>(times, &columns[first], &sums[first], begin);
  if (first + 1 == columns.size()) add_up_columns<1>(times, &columns[first], &sums[first], begin);
}

}  // namespace

Bootstrap::Bootstrap(int64_t replicates, uint64_t seed) : replicates_(replicates), seed_(seed) {
  ELASTIKV_ASSERT(replicates >= 1, "a bootstrap of {} replicates", replicates);
}

std::vector<std::vector<double>> Bootstrap::resampled_sums(
    std::span<const std::span<const double>> columns) const {
  const size_t units = columns.front().size();
  ELASTIKV_ASSERT(units > 0 && units < (uint64_t{1} << 32), "a bootstrap over {} units", units);
  for (const auto& column : columns)
    ELASTIKV_ASSERT(column.size() == units, "columns of {} and {} units", column.size(), units);
  const auto replicates = static_cast<size_t>(replicates_);
  std::vector<std::vector<double>> sums(columns.size(), std::vector<double>(replicates));
  const size_t blocks = (replicates + kBlock - 1) / kBlock;
  const size_t block_size = units * kBlock;
  const bool keep = blocks * block_size <= kMostKeptCounts;
  const bool kept = keep && kept_units_ == units;
  if (!kept) {
    kept_counts_.resize(keep ? blocks * block_size : block_size);
    kept_units_ = keep ? units : 0;
  }
  std::mt19937_64 random(seed_);
  const auto draw = [&](size_t block, uint8_t* counts) {
    draw_block(random, std::min(kBlock, replicates - block * kBlock), units, counts);
  };
  if (!keep) {
    std::vector<double> times;
    for (size_t block = 0; block < blocks; ++block) {
      draw(block, kept_counts_.data());
      add_up(kept_counts_.data(), columns, sums, block * kBlock, times);
    }
    return sums;
  }
  if (!kept) {
    for (size_t block = 0; block < blocks; ++block) draw(block, &kept_counts_[block * block_size]);
  }
  const size_t additions = block_size * columns.size();
  const auto grain = static_cast<int64_t>(kMuch / additions + 1);
  at::parallel_for(0, static_cast<int64_t>(blocks), grain, [&](int64_t begin, int64_t end) {
    std::vector<double> times;
    for (auto block = static_cast<size_t>(begin); block < static_cast<size_t>(end); ++block)
      add_up(&kept_counts_[block * block_size], columns, sums, block * kBlock, times);
  });
  return sums;
}

const Bootstrap::WeightSums& Bootstrap::weight_sums(std::span<const double> weights) const {
  if (!std::equal(weights.begin(), weights.end(), weights_.begin(), weights_.end())) {
    weights_.assign(weights.begin(), weights.end());
    std::vector<double> squares(weights.begin(), weights.end());
    for (double& weight : squares) weight *= weight;
    const std::array<std::span<const double>, 2> columns{weights, squares};
    auto sums = resampled_sums(columns);
    weight_sums_ = {std::move(sums[0]), std::move(sums[1])};
  }
  return weight_sums_;
}

}  // namespace elastikv
