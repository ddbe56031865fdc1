#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include <ATen/core/Tensor.h>

#include "kernels/chunk_attention.h"
#include "kernels/rotary.h"
#include "support/tensors.h"

/// Sequences of random entries with random lives, every token seeing at least its own entry. Each
/// begins with `least_before` to `most_before` slots, more by 5 from head to head if they are
/// ragged; every other one has biases.
struct RandomChunk {
  RandomChunk(int64_t row_count, int64_t tokens, int64_t kv_heads, int64_t group, int64_t head_dim,
              bool ragged, bool unrotated, uint64_t seed, int64_t least_before = 1,
              int64_t most_before = 70)
      : rotary(head_dim, elastikv::RotaryRule{10000.0}, 512, c10::Device(c10::DeviceType::CPU)),
        queries(random_tensor({row_count, tokens, kv_heads * group, head_dim}, seed)),
        starts(static_cast<size_t>(row_count)),
        lengths(starts.size()),
        biases(starts.size()),
        slots(starts.size()) {
    std::mt19937_64 random(seed);
    const auto draw = [&](int64_t from, int64_t to) {
      return std::uniform_int_distribution<int64_t>(from, to)(random);
    };
    for (size_t r = 0; r < starts.size(); ++r) {
      int64_t begin = draw(0, 3);
      const int64_t before = draw(least_before, most_before);
      for (int64_t h = 0; h < kv_heads; ++h) {
        const int64_t length = (ragged ? before + 5 * h : before) + tokens;
        starts[r].push_back(begin);
        lengths[r].push_back(length);
        begin += length + draw(0, 2);
        if (!ragged && h > 0) continue;
        elastikv::ChunkSlots& set = slots[r].emplace_back();
        auto& bias = biases[r].emplace_back();
        for (int64_t i = 0; i < length; ++i) {
          const auto first = static_cast<int32_t>(std::max<int64_t>(0, i - (length - tokens)));
          set.first.push_back(first);
          set.until.push_back(static_cast<int32_t>(draw(first + 1, tokens)));
          bias.push_back(static_cast<float>(draw(0, 3)));
          if (!unrotated) continue;
          set.key_positions.push_back(draw(0, 511));
          set.keeps_rank.push_back(static_cast<uint8_t>(draw(0, 1)));
        }
        for (int64_t t = 0; unrotated && t < tokens; ++t) {
          set.rank_positions.push_back(draw(0, 511));
          set.query_positions.push_back(draw(0, 511));
        }
      }
      elastikv::ChunkRow row;
      row.keys = random_tensor({begin, head_dim}, seed + 10 * r + 1);
      row.values = random_tensor({begin, head_dim}, seed + 10 * r + 2);
      row.starts = &starts[r];
      row.lengths = &lengths[r];
      row.slots = &slots[r];
      if (r % 2 == 1) row.logit_bias = &biases[r];
      if (unrotated) row.rotary = &rotary;
      rows.push_back(row);
    }
  }
  RandomChunk(const RandomChunk&) = delete;
  RandomChunk& operator=(const RandomChunk&) = delete;

  void convert(c10::ScalarType dtype) {
    queries = queries.to(dtype);
    for (elastikv::ChunkRow& row : rows) {
      row.keys = row.keys.to(dtype);
      row.values = row.values.to(dtype);
    }
  }

  elastikv::RotaryTable rotary;
  at::Tensor queries;
  std::vector<std::vector<int64_t>> starts;
  std::vector<std::vector<int64_t>> lengths;
  std::vector<std::vector<std::vector<float>>> biases;
  std::vector<std::vector<elastikv::ChunkSlots>> slots;
  std::vector<elastikv::ChunkRow> rows;
};
