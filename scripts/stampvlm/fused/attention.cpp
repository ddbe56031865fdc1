#include "attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace fused {

namespace {

constexpr long kHalf = kWidth / 2;
constexpr long kStacked = 128;             // most rows of a block, so that its scores stay in L2
constexpr long kChunk = kSide * kWidth;    // values of a chunk of keys
constexpr float kScale = 0.125F * kLog2E;  // of scores, for powers of two

// Turns a head's 64 values by a row's position; direction -1 turns them back.
void rotate(const float* from, const Rotation& rotation, long row, float factor, float direction,
            bf16* to) {
  for (long column = 0; column < kHalf; column += 16) {
    const __m512 scale = _mm512_set1_ps(factor);
    const __m512 cos = _mm512_mul_ps(_mm512_loadu_ps(rotation.cos + row * kHalf + column), scale);
    const __m512 sin = _mm512_mul_ps(_mm512_loadu_ps(rotation.sin + row * kHalf + column),
                                     _mm512_set1_ps(factor * direction));
    const __m512 first = _mm512_loadu_ps(from + column);
    const __m512 second = _mm512_loadu_ps(from + kHalf + column);
    store(to + column, _mm512_fnmadd_ps(second, sin, _mm512_mul_ps(first, cos)));
    store(to + kHalf + column, _mm512_fmadd_ps(first, sin, _mm512_mul_ps(second, cos)));
  }
}

void rotate(const bf16* from, const Rotation& rotation, long row, float factor, bf16* to) {
  float wide[kWidth];
  for (long column = 0; column < kWidth; column += 16)
    _mm512_storeu_ps(wide + column, load(from + column));
  rotate(wide, rotation, row, factor, 1.0F, to);
}

void copy_head(const bf16* from, bf16* to) { std::memcpy(to, from, kWidth * sizeof(bf16)); }

void clear_rows(bf16* rows, long first, long stop) {
  std::memset(rows + first * kWidth, 0, static_cast<std::size_t>((stop - first) * kWidth) * 2);
}

// [rows, kWidth] to [kWidth, kStacked].
void turn_rows(const bf16* from, long rows, bf16* to) {
  for (long row = 0; row < rows; row += kSide)
    for (long column = 0; column < kWidth; column += kSide)
      write_transposed(from + row * kWidth + column, kWidth, to + column * kStacked + row,
                       kStacked);
}

__mmask16 below(long limit, long column) {
  const long count = std::clamp(limit - column, 0L, 16L);
  return static_cast<__mmask16>((1U << static_cast<unsigned>(count)) - 1U);
}

}  // namespace

void Attention::arrange(const Layout& layout) {
  const bool same = rows_ != 0 && std::memcmp(&layout, &layout_, sizeof layout) == 0;
  if (same) return;
  layout_ = layout;
  rows_ = layout.rows();
  segments_.clear();
  blocks_.clear();
  keys_ = 0;
  long row = 0;
  const auto add = [&](long rows) {
    if (rows == 0) return;
    segments_.push_back({row, rows, keys_});
    row += rows;
    keys_ += padded(rows);
  };
  add(layout.prefix);
  add(layout.long_rows);
  for (long branch = 0; branch < layout.shorts; ++branch) add(layout.short_rows);

  const long repeats = heads_.queries / heads_.pairs;
  const long most = kStacked / repeats;
  columns_ = 0;
  for (const Segment& segment : segments_) {
    const bool branch = segment.first_row > 0;
    const long pieces = (segment.rows + most - 1) / most;
    for (long piece = 0; piece < pieces; ++piece) {
      Block block;
      block.segment = &segment;
      block.first = segment.rows * piece / pieces;
      const long stop = segment.rows * (piece + 1) / pieces;
      block.rows = stop - block.first;
      block.stacked = padded(block.rows * repeats);
      long column = 0;
      if (branch) {
        block.ranges.push_back({0, padded(layout.prefix) / kSide, 0, false, layout.prefix});
        column = padded(layout.prefix);
      }
      block.ranges.push_back({segment.first_key, padded(stop) / kSide, column, true, 0});
      columns_ = std::max(columns_, column + padded(stop));
      blocks_.push_back(block);
    }
  }

  const auto carve = [this](Carver carver) {
    for (bf16** rows : {&key_rows_, &value_rows_, &keys_transposed_, &keys_packed_,
                        &values_transposed_, &values_packed_})
      *rows = carver.take<bf16>(keys_ * kWidth);
    of_keys_ = carver.take<float>(keys_ * kWidth);
    of_values_ = carver.take<float>(keys_ * kWidth);
    for (bf16** rows : {&queries_, &queries_across_, &of_mixed_, &of_mixed_across_})
      *rows = carver.take<bf16>(kStacked * kWidth);
    lengths_ = carver.take<float>(kStacked);
    along_ = carver.take<float>(kStacked);
    scores_ = carver.take<float>(kSide * columns_);
    weights_ = carver.take<bf16>(kStacked * columns_);
    chunk_weights_ = carver.take<bf16>(kStacked * kSide);
    chunk_of_scores_ = carver.take<bf16>(kStacked * kSide);
    return carver.used();
  };
  const std::size_t needed = carve(Carver(nullptr));
  if (!memory_ || memory_->size() < needed) memory_ = std::make_unique<Memory>(needed);
  carve(Carver(memory_->as<char>()));
}

// How many of a range's keys a stacked row sees.
long Attention::visible(const Block& block, const Range& range, long stacked_row) const {
  return range.causal ? block.first + stacked_row % block.rows + 1 : range.seen;
}

void Attention::gather_keys(const Rotation& rotation, const bf16* joint, long pair, bool backward) {
  for (const Segment& segment : segments_) {
    bf16* keys = key_rows_ + segment.first_key * kWidth;
    bf16* values = value_rows_ + segment.first_key * kWidth;
    for (long row = 0; row < segment.rows; ++row) {
      const bf16* from =
          joint + (segment.first_row + row) * heads_.joint_width() + heads_.width() + pair * kWidth;
      rotate(from, rotation, segment.first_row + row, 1.0F, keys + row * kWidth);
      copy_head(from + heads_.pairs * kWidth, values + row * kWidth);
    }
    clear_rows(keys, segment.rows, padded(segment.rows));
    clear_rows(values, segment.rows, padded(segment.rows));
  }
  for (long at = 0; at < keys_ * kWidth; at += kChunk)
    for (long step = 0; step < 2; ++step) {
      const long from = at + step * kSide;
      const long to = at + step * kStep;
      pack_transposed(key_rows_ + from, kWidth, keys_transposed_ + to);
      if (backward) {
        pack_rows(key_rows_ + from, kWidth, keys_packed_ + to);
        pack_transposed(value_rows_ + from, kWidth, values_transposed_ + to);
      } else {
        pack_rows(value_rows_ + from, kWidth, values_packed_ + to);
      }
    }
}

void Attention::gather_queries(const Block& block, const Rotation& rotation, const bf16* joint,
                               long pair) {
  const long repeats = heads_.queries / heads_.pairs;
  for (long head = 0; head < repeats; ++head)
    for (long row = 0; row < block.rows; ++row) {
      const long at = block.segment->first_row + block.first + row;
      rotate(joint + at * heads_.joint_width() + (pair * repeats + head) * kWidth, rotation, at,
             kScale, queries_ + (head * block.rows + row) * kWidth);
    }
  clear_rows(queries_, repeats * block.rows, block.stacked);
}

void Attention::forward_block(const Block& block, bf16* mixed, float* lengths, long pair) {
  const long repeats = heads_.queries / heads_.pairs;
  for (long first = 0; first < block.stacked; first += kSide) {
    for (const Range& range : block.ranges)
      for (long chunk = 0; chunk < range.chunks; ++chunk) {
        clear();
        multiply(queries_ + first * kWidth, kWidth,
                 keys_transposed_ + range.first_key * kWidth + chunk * kChunk, 2);
        write_sum(scores_ + range.column + chunk * kSide, columns_);
      }
    float sums[kSide];
    for (long row = 0; row < kSide; ++row) {
      const float* scores = scores_ + row * columns_;
      __m512 most = _mm512_set1_ps(-INFINITY);
      for (const Range& range : block.ranges) {
        const long limit = visible(block, range, first + row);
        for (long key = 0; key < limit; key += 16)
          most = _mm512_mask_max_ps(most, below(limit, key), most,
                                    _mm512_loadu_ps(scores + range.column + key));
      }
      const float highest = _mm512_reduce_max_ps(most);
      most = _mm512_set1_ps(highest);
      __m512 sum = _mm512_setzero_ps();
      for (const Range& range : block.ranges) {
        const long limit = visible(block, range, first + row);
        bf16* weights = weights_ + row * columns_ + range.column;
        for (long key = 0; key < range.chunks * kSide; key += 16) {
          const __m512 score = _mm512_loadu_ps(scores + range.column + key);
          const __m512 weight =
              _mm512_maskz_mov_ps(below(limit, key), power_of_two(_mm512_sub_ps(score, most)));
          sum = _mm512_add_ps(sum, weight);
          store(weights + key, weight);
        }
      }
      sums[row] = _mm512_reduce_add_ps(sum);
      lengths_[row] = highest + std::log2(sums[row]);
    }
    const long stop = std::min(first + kSide, repeats * block.rows);
    for (long half = 0; half < 2; ++half) {
      alignas(64) float result[kSide * kSide];
      clear();
      for (const Range& range : block.ranges)
        multiply(weights_ + range.column, columns_,
                 values_packed_ + range.first_key * kWidth + half * kStep, range.chunks, kChunk);
      write_sum(result, kSide);
      for (long stacked = first; stacked < stop; ++stacked) {
        const long head = pair * repeats + stacked / block.rows;
        const long row = block.segment->first_row + block.first + stacked % block.rows;
        bf16* to = mixed + row * heads_.width() + head * kWidth + half * kSide;
        const float* from = result + (stacked - first) * kSide;
        const __m512 share = _mm512_set1_ps(1.0F / sums[stacked - first]);
        store(to, _mm512_mul_ps(_mm512_load_ps(from), share));
        store(to + 16, _mm512_mul_ps(_mm512_load_ps(from + 16), share));
        lengths[head * rows_ + row] = lengths_[stacked - first];
      }
    }
  }
}

void Attention::forward(const Layout& layout, const Rotation& rotation, const bf16* joint,
                        bf16* mixed, float* lengths) {
  arrange(layout);
  for (long pair = 0; pair < heads_.pairs; ++pair) {
    gather_keys(rotation, joint, pair, false);
    for (const Block& block : blocks_) {
      gather_queries(block, rotation, joint, pair);
      forward_block(block, mixed, lengths, pair);
    }
  }
}

void Attention::gather_gradient(const Block& block, const bf16* mixed, const float* lengths,
                                const bf16* of_mixed, long pair) {
  const long repeats = heads_.queries / heads_.pairs;
  const long count = repeats * block.rows;
  for (long stacked = 0; stacked < count; ++stacked) {
    const long head = pair * repeats + stacked / block.rows;
    const long row = block.segment->first_row + block.first + stacked % block.rows;
    const long at = row * heads_.width() + head * kWidth;
    copy_head(of_mixed + at, of_mixed_ + stacked * kWidth);
    __m512 sum = _mm512_setzero_ps();
    for (long column = 0; column < kWidth; column += 16)
      sum = _mm512_fmadd_ps(load(of_mixed + at + column), load(mixed + at + column), sum);
    along_[stacked] = kLn2 * _mm512_reduce_add_ps(sum);
    lengths_[stacked] = lengths[head * rows_ + row];
  }
  // Rows of zeros add nothing to any gradient, as long as their weights are finite.
  std::fill(lengths_ + count, lengths_ + block.stacked, 0.0F);
  std::fill(along_ + count, along_ + block.stacked, 0.0F);
  clear_rows(of_mixed_, count, block.stacked);
  turn_rows(queries_, block.stacked, queries_across_);
  turn_rows(of_mixed_, block.stacked, of_mixed_across_);
}

// A chunk's part of the gradients of keys and values, and the gradient of its scores.
void Attention::backward_chunk(const Block& block, const Range& range, long chunk) {
  const long first_key = range.first_key + chunk * kSide;
  const long column = range.column + chunk * kSide;
  const long chunk_end = (chunk + 1) * kSide;
  const bool masked = chunk_end > (range.causal ? block.first + 1 : range.seen);
  alignas(64) float scores[kSide * kSide];
  alignas(64) float of_weights[kSide * kSide];
  for (long first = 0; first < block.stacked; first += kSide) {
    clear();
    multiply(queries_ + first * kWidth, kWidth, keys_transposed_ + first_key * kWidth, 2);
    write_sum(scores, kSide);
    clear();
    multiply(of_mixed_ + first * kWidth, kWidth, values_transposed_ + first_key * kWidth, 2);
    write_sum(of_weights, kSide);
    bf16* packed = chunk_weights_ + first * kSide;
    bf16* packed_of_scores = chunk_of_scores_ + first * kSide;
    for (long row = 0; row < kSide; row += 2)
      for (long half = 0; half < 2; ++half) {
        __m512 weights[2];
        __m512 of_scores[2];
        for (long next = 0; next < 2; ++next) {
          const long at = (row + next) * kSide + half * 16;
          const long stacked = first + row + next;
          __m512 weight = power_of_two(
              _mm512_sub_ps(_mm512_load_ps(scores + at), _mm512_set1_ps(lengths_[stacked])));
          if (masked)
            weight = _mm512_maskz_mov_ps(
                below(visible(block, range, stacked), chunk * kSide + half * 16), weight);
          // By ln 2, since the scores are for powers of two.
          const __m512 difference =
              _mm512_fmsub_ps(_mm512_load_ps(of_weights + at), _mm512_set1_ps(kLn2),
                              _mm512_set1_ps(along_[stacked]));
          weights[next] = weight;
          of_scores[next] = _mm512_mul_ps(weight, difference);
        }
        const long to = half * kTile + row / 2 * kSide;
        const __m512i both = narrowed(weights[0], weights[1]);
        const __m512i both_of_scores = narrowed(of_scores[0], of_scores[1]);
        const __m512i lanes =
            _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7,
                             22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
        _mm512_store_si512(packed + to, _mm512_permutexvar_epi16(lanes, both));
        _mm512_store_si512(packed_of_scores + to, _mm512_permutexvar_epi16(lanes, both_of_scores));
        bf16* rows = weights_ + (first + row) * columns_ + column + half * 16;
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(rows),
                            _mm512_castsi512_si256(both_of_scores));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(rows + columns_),
                            _mm512_extracti64x4_epi64(both_of_scores, 1));
      }
  }
  for (long width = 0; width < kWidth; width += kSide) {
    float* of_values = of_values_ + width * keys_ + first_key;
    load_sum(of_values, keys_);
    multiply(of_mixed_across_ + width * kStacked, kStacked, chunk_weights_, block.stacked / kSide);
    write_sum(of_values, keys_);
    float* of_keys = of_keys_ + width * keys_ + first_key;
    load_sum(of_keys, keys_);
    multiply(queries_across_ + width * kStacked, kStacked, chunk_of_scores_, block.stacked / kSide);
    write_sum(of_keys, keys_);
  }
}

void Attention::write_query_gradient(const Block& block, const Rotation& rotation, bf16* of_joint,
                                     long pair) {
  const long repeats = heads_.queries / heads_.pairs;
  for (long first = 0; first < block.stacked; first += kSide) {
    alignas(64) float result[kSide * kWidth];
    for (long half = 0; half < 2; ++half) {
      clear();
      for (const Range& range : block.ranges)
        multiply(weights_ + first * columns_ + range.column, columns_,
                 keys_packed_ + range.first_key * kWidth + half * kStep, range.chunks, kChunk);
      write_sum(result + half * kSide, kWidth);
    }
    const long stop = std::min(first + kSide, repeats * block.rows);
    for (long stacked = first; stacked < stop; ++stacked) {
      const long row = block.segment->first_row + block.first + stacked % block.rows;
      const long head = pair * repeats + stacked / block.rows;
      rotate(result + (stacked - first) * kWidth, rotation, row, kScale, -1.0F,
             of_joint + row * heads_.joint_width() + head * kWidth);
    }
  }
}

void Attention::write_key_gradient(const Rotation& rotation, bf16* of_joint, long pair) {
  for (const Segment& segment : segments_)
    for (long first = 0; first < segment.rows; first += 16) {
      alignas(64) float of_keys[16 * kWidth];
      alignas(64) float of_values[16 * kWidth];
      for (long width = 0; width < kWidth; width += 16) {
        const long at = width * keys_ + segment.first_key + first;
        for (const auto& [from, to] :
             {std::pair(of_keys_ + at, of_keys), std::pair(of_values_ + at, of_values)}) {
          __m512i rows[16];
          for (long row = 0; row < 16; ++row) rows[row] = _mm512_loadu_si512(from + row * keys_);
          transpose(rows);
          for (long row = 0; row < 16; ++row)
            _mm512_store_si512(to + row * kWidth + width, rows[row]);
        }
      }
      const long count = std::min(16L, segment.rows - first);
      for (long next = 0; next < count; ++next) {
        const long row = segment.first_row + first + next;
        bf16* to = of_joint + row * heads_.joint_width() + heads_.width() + pair * kWidth;
        rotate(of_keys + next * kWidth, rotation, row, 1.0F, -1.0F, to);
        for (long column = 0; column < kWidth; column += 16)
          store(to + heads_.pairs * kWidth + column,
                _mm512_load_ps(of_values + next * kWidth + column));
      }
    }
}

void Attention::backward(const Layout& layout, const Rotation& rotation, const bf16* joint,
                         const bf16* mixed, const float* lengths, const bf16* of_mixed,
                         bf16* of_joint) {
  arrange(layout);
  for (long pair = 0; pair < heads_.pairs; ++pair) {
    gather_keys(rotation, joint, pair, true);
    std::fill(of_keys_, of_keys_ + keys_ * kWidth, 0.0F);
    std::fill(of_values_, of_values_ + keys_ * kWidth, 0.0F);
    for (const Block& block : blocks_) {
      gather_queries(block, rotation, joint, pair);
      gather_gradient(block, mixed, lengths, of_mixed, pair);
      for (const Range& range : block.ranges)
        for (long chunk = 0; chunk < range.chunks; ++chunk) backward_chunk(block, range, chunk);
      write_query_gradient(block, rotation, of_joint, pair);
    }
    write_key_gradient(rotation, of_joint, pair);
  }
}

}  // namespace fused
