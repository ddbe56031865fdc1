#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"
#include "kernels/attention.h"
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/clones.h"
#include "kernels/cpu/exp.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/share_work.h"
#include "kernels/cpu/targets.h"

namespace elastikv::cpu {
namespace {

/// Room for one key, and for the queries that share it.
constexpr int64_t kLargestHead = 512;
constexpr int64_t kLargestGroup = 64;

/// Slots that are attended to as one piece; longer heads are cut, so that a batch of one keeps all
/// threads busy. A fixed number: results must not depend on the batch or the number of threads.
constexpr int64_t kPiece = 256;

/// One piece of the slots of one (row, KV head).
struct Piece {
  const char* const* keys;    // [length]: addresses of [head_dim]
  const char* const* values;  // [length]
  const void* queries;        // [group, head_dim]
  float* weights;             // [group, weights_stride]: exp(logit - highest)
  float* output;              // [group, head_dim]: sum of weight * value
  float* highest;             // [group]: largest logit
  float* total;               // [group]: sum of the weights
  const float* bias;          // [length], or null: added to the logits
  const int64_t* distances;   // [length], or null: keys are rotated already
  const float* cos;           // [positions, head_dim] of the rotary table
  const float* sin;           // first half negated
  float scale;
  int64_t length;
  int64_t group;
  int64_t head_dim;
  int64_t weights_stride;
};

/// Queries that go over the values together.
constexpr int kQueries = 3;

/// Slots of a prompt that a row has kept in part lie apart, where no processor expects them.
ELASTIKV_INLINE void prefetch(const char* const* slots, int64_t i, int64_t length, int64_t bytes) {
  constexpr int64_t kAhead = 4;
  constexpr int64_t kLine = 64;
  const char* slot = slots[std::min(i + kAhead, length - 1)];
  for (int64_t at = 0; at < bytes; at += kLine) __builtin_prefetch(slot + at);
}

/// The products of kCount vectors of kLanes, added pairwise.
template <int kWidth, int kCount, typename T>
ELASTIKV_INLINE Lanes<kWidth> products(const float* a, const T* b) {
  Lanes<kWidth> left;
  if constexpr (kCount == 1) {
    load(a, left);
    Lanes<kWidth> right;
    load(b, right);
#pragma GCC unroll 4
    for (int64_t p = 0; p < Lanes<kWidth>::kParts; ++p) left.part[p] *= right.part[p];
  } else {
    left = products<kWidth, kCount / 2>(a, b);
    const Lanes<kWidth> right =
        products<kWidth, kCount / 2>(a + kCount / 2 * kLanes, b + kCount / 2 * kLanes);
#pragma GCC unroll 4
    for (int64_t p = 0; p < Lanes<kWidth>::kParts; ++p) left.part[p] += right.part[p];
  }
  return left;
}

/// A query times a key. kVectors: of kLanes, for a head_dim that has a body of its own; 0: any.
template <int kWidth, int kVectors, typename T>
ELASTIKV_INLINE float dot(const float* query, const T* key, int64_t head_dim) {
  if constexpr (kVectors > 0) {
    return sum(products<kWidth, kVectors>(query, key));
  } else {
    Lanes<kWidth> total;
    clear(total);
    int64_t d = 0;
    for (; d + kLanes <= head_dim; d += kLanes) {
      const Lanes<kWidth> more = products<kWidth, 1>(query + d, key + d);
      for (int64_t p = 0; p < Lanes<kWidth>::kParts; ++p) total.part[p] += more.part[p];
    }
    float result = sum(total);
    for (; d < head_dim; ++d) result += query[d] * widen(key[d]);
    return result;
  }
}

/// Vectors of kLanes whose sums for kCount queries fit the registers.
template <int kWidth, int kVectors, int kCount>
constexpr int together() {
  const int fit = kWidth / (kCount == 1 ? 2 : 4);
  return fit < kVectors ? fit : kVectors;
}

/// output = sum of weight * value for kCount queries from `first` on, whose sums stay in registers
/// while the values pass; head_dim is kVectors * kLanes.
template <int kWidth, int kVectors, int kCount, typename T>
ELASTIKV_INLINE void add_values(const Piece& piece, int64_t first) {
  constexpr int kTogether = together<kWidth, kVectors, kCount>();
  const float* weights = piece.weights + first * piece.weights_stride;
  for (int begin = 0; begin < kVectors; begin += kTogether) {
    Lanes<kWidth> sums[kCount][kTogether];
#pragma GCC unroll 3
    for (int g = 0; g < kCount; ++g) {
#pragma GCC unroll 8
      for (int v = 0; v < kTogether; ++v) clear(sums[g][v]);
    }
    for (int64_t i = 0; i < piece.length; ++i) {
      const T* slot = reinterpret_cast<const T*>(piece.values[i]) + begin * kLanes;
      if (begin == 0) {
        prefetch(piece.values, i, piece.length,
                 kVectors * kLanes * static_cast<int64_t>(sizeof(T)));
      }
#pragma GCC unroll 8
      for (int v = 0; v < kTogether; ++v) {
        Lanes<kWidth> value;
        load(slot + v * kLanes, value);
#pragma GCC unroll 3
        for (int g = 0; g < kCount; ++g) {
          const float weight = weights[g * piece.weights_stride + i];
#pragma GCC unroll 4
          for (int64_t p = 0; p < Lanes<kWidth>::kParts; ++p)
            sums[g][v].part[p] += weight * value.part[p];
        }
      }
    }
#pragma GCC unroll 3
    for (int g = 0; g < kCount; ++g) {
#pragma GCC unroll 8
      for (int v = 0; v < kTogether; ++v)
        store(sums[g][v], piece.output + ((first + g) * kVectors + begin + v) * kLanes);
    }
  }
}

/// weights = exp(logits - highest) of one query, with the bias.
ELASTIKV_INLINE void soften(const Piece& piece, int64_t g) {
  float* weights = piece.weights + g * piece.weights_stride;
  if (piece.bias != nullptr) {
    for (int64_t i = 0; i < piece.length; ++i) weights[i] += piece.bias[i];
  }
  float highest = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < piece.length; ++i) highest = std::max(highest, weights[i]);
  float total = 0;
  for (int64_t i = 0; i < piece.length; ++i) {
    weights[i] = exp(weights[i] - highest);
    total += weights[i];
  }
  piece.highest[g] = highest;
  piece.total[g] = total;
}

/// kVectors as in dot.
template <int kWidth, int kVectors, typename T>
ELASTIKV_INLINE void attend(const Piece& piece) {
  const int64_t head_dim = kVectors > 0 ? kVectors * kLanes : piece.head_dim;
  float queries[kLargestGroup * kLargestHead];
  for (int64_t i = 0; i < piece.group * head_dim; ++i)
    queries[i] = widen(static_cast<const T*>(piece.queries)[i]) * piece.scale;
  for (int64_t i = 0; i < piece.length; ++i) {
    const T* key = reinterpret_cast<const T*>(piece.keys[i]);
    prefetch(piece.keys, i, piece.length, head_dim * static_cast<int64_t>(sizeof(T)));
    float* logits = piece.weights + i;
    if (piece.distances == nullptr) {
      for (int64_t g = 0; g < piece.group; ++g) {
        logits[g * piece.weights_stride] =
            dot<kWidth, kVectors>(queries + g * head_dim, key, head_dim);
      }
      continue;
    }
    // Turning back by an angle: the sine changes its sign.
    const float* cos = piece.cos + piece.distances[i] * head_dim;
    const float* sin = piece.sin + piece.distances[i] * head_dim;
    const int64_t half = head_dim / 2;
    float turned[kLargestHead];
    for (int64_t d = 0; d < half; ++d) {
      const float a = widen(key[d]);
      const float b = widen(key[d + half]);
      turned[d] = a * cos[d] - b * sin[d];
      turned[d + half] = b * cos[d + half] - a * sin[d + half];
    }
    for (int64_t g = 0; g < piece.group; ++g) {
      logits[g * piece.weights_stride] =
          dot<kWidth, kVectors>(queries + g * head_dim, turned, head_dim);
    }
  }
  for (int64_t g = 0; g < piece.group; ++g) soften(piece, g);
  if constexpr (kVectors > 0) {
    int64_t g = 0;
    for (; g + kQueries <= piece.group; g += kQueries)
      add_values<kWidth, kVectors, kQueries, T>(piece, g);
    for (; g < piece.group; ++g) add_values<kWidth, kVectors, 1, T>(piece, g);
  } else {
    std::fill(piece.output, piece.output + piece.group * head_dim, 0.0F);
    for (int64_t i = 0; i < piece.length; ++i) {
      const T* value = reinterpret_cast<const T*>(piece.values[i]);
      for (int64_t g = 0; g < piece.group; ++g) {
        const float weight = piece.weights[g * piece.weights_stride + i];
        float* output = piece.output + g * head_dim;
        for (int64_t d = 0; d < head_dim; ++d) output[d] += weight * widen(value[d]);
      }
    }
  }
}

/// A body for each head_dim of most models, and one for all others.
template <int kWidth, typename T>
ELASTIKV_INLINE void attend_any(const Piece& piece) {
  switch (piece.head_dim) {
    case 4 * kLanes:
      return attend<kWidth, 4, T>(piece);
    case 8 * kLanes:
      return attend<kWidth, 8, T>(piece);
    default:
      return attend<kWidth, 0, T>(piece);
  }
}

using Attend = void (*)(const Piece& piece);

void fp32_by_4(const Piece& piece) { attend_any<4, float>(piece); }
void bf16_by_4(const Piece& piece) { attend_any<4, uint16_t>(piece); }
ELASTIKV_AVX2 void fp32_by_8(const Piece& piece) { attend_any<8, float>(piece); }
ELASTIKV_AVX2 void bf16_by_8(const Piece& piece) { attend_any<8, uint16_t>(piece); }
ELASTIKV_AVX512 void fp32_by_16(const Piece& piece) { attend_any<16, float>(piece); }
ELASTIKV_AVX512 void bf16_by_16(const Piece& piece) { attend_any<16, uint16_t>(piece); }

/// The pieces of one query head, one after another in memory, put together.
struct Join {
  const float* outputs;  // [pieces], `stride` apart: [head_dim]
  const float* highest;  // [pieces], `stride` apart
  const float* totals;   // [pieces], `stride` apart
  int64_t stride;
  int64_t pieces;
  int64_t head_dim;
  float* weights;  // [length] over all pieces, or null
  int64_t length;
  void* output;  // [head_dim]
};

template <typename T>
inline __attribute__((always_inline)) void join(const Join& task) {
  float highest = task.highest[0];
  for (int64_t p = 1; p < task.pieces; ++p)
    highest = std::max(highest, task.highest[p * task.stride]);
  float total = 0;
  for (int64_t p = 0; p < task.pieces; ++p)
    total += task.totals[p * task.stride] * exp(task.highest[p * task.stride] - highest);
  float sum[kLargestHead];
  std::fill(sum, sum + task.head_dim, 0.0F);
  for (int64_t p = 0; p < task.pieces; ++p) {
    const float share = exp(task.highest[p * task.stride] - highest) / total;
    const float* part = task.outputs + p * task.stride;
    for (int64_t d = 0; d < task.head_dim; ++d) sum[d] += share * part[d];
    if (task.weights == nullptr) continue;
    const int64_t end = std::min(task.length, (p + 1) * kPiece);
    for (int64_t i = p * kPiece; i < end; ++i) task.weights[i] *= share;
  }
  T* output = static_cast<T*>(task.output);
  for (int64_t d = 0; d < task.head_dim; ++d) narrow(sum[d], output[d]);
}

ELASTIKV_CPU_CLONES void join_fp32(const Join& task) { join<float>(task); }
ELASTIKV_CPU_CLONES void join_bf16(const Join& task) { join<uint16_t>(task); }

/// Buffers that a thread's next step uses again.
float* scratch(size_t floats) {
  static thread_local std::vector<float> buffer;
  if (buffer.size() < floats) buffer.resize(floats);
  return buffer.data();
}

}  // namespace

DecodeAttention decode_attention(const at::Tensor& queries, const std::vector<DecodeRow>& rows,
                                 double scale) {
  const auto row_count = static_cast<int64_t>(rows.size());
  const int64_t query_heads = queries.size(1);
  const int64_t head_dim = queries.size(2);
  ELASTIKV_ASSERT(queries.size(0) == row_count, "{} query rows for {} cache rows", queries.size(0),
                  row_count);
  const at::ScalarType dtype = queries.scalar_type();
  ELASTIKV_ASSERT(dtype == at::kFloat || dtype == at::kBFloat16, "dtype {}", c10::toString(dtype));
  const bool wide = dtype == at::kFloat;
  const size_t element = wide ? sizeof(float) : sizeof(uint16_t);
  const at::Tensor q =
      queries.stride(2) == 1 && queries.stride(1) == head_dim ? queries : queries.contiguous();
  DecodeAttention result;
  result.output = at::empty({row_count, query_heads, head_dim}, queries.options());
  result.weights.resize(rows.size());
  if (rows.empty()) return result;

  const auto kv_heads = static_cast<int64_t>(rows[0].lengths->size());
  const int64_t group = query_heads / kv_heads;
  ELASTIKV_ASSERT(head_dim <= kLargestHead && group <= kLargestGroup,
                  "head_dim {} with {} query heads to a KV head", head_dim, group);
  // Head by head, so that what rows share of a head is still in the processor's caches when the
  // next row reads it.
  std::vector<int64_t> first_piece;  // [kv_heads * rows + 1]
  first_piece.reserve(static_cast<size_t>(row_count * kv_heads + 1));
  first_piece.push_back(0);
  for (size_t r = 0; r < rows.size(); ++r) {
    const auto& lengths = *rows[r].lengths;
    ELASTIKV_ASSERT(static_cast<int64_t>(lengths.size()) == kv_heads &&
                        rows[r].starts->size() == lengths.size(),
                    "row {}: {} KV heads", r, lengths.size());
    for (const at::Tensor* entries :
         {&rows[r].keys, &rows[r].values, &rows[r].prompt_keys, &rows[r].prompt_values}) {
      ELASTIKV_ASSERT(
          !entries->defined() || (entries->is_contiguous() && entries->scalar_type() == dtype),
          "row {}: keys and values must be contiguous {}", r, c10::toString(dtype));
    }
    ELASTIKV_ASSERT(rows[r].distances.empty() || rows[r].rotary != nullptr,
                    "row {}: un-rotated keys without a rotary table", r);
    if (rows[r].weights) {
      const int64_t longest = *std::max_element(lengths.begin(), lengths.end());
      result.weights[r] = at::zeros({query_heads, longest}, queries.options().dtype(at::kFloat));
    }
  }
  for (int64_t h = 0; h < kv_heads; ++h) {
    for (size_t r = 0; r < rows.size(); ++r) {
      const int64_t length = (*rows[r].lengths)[static_cast<size_t>(h)];
      ELASTIKV_ASSERT(length > 0, "row {} has an empty head", r);
      first_piece.push_back(first_piece.back() + (length + kPiece - 1) / kPiece);
    }
  }
  const Attend attend = wide ? for_this_processor(fp32_by_4, fp32_by_8, fp32_by_16)
                             : for_this_processor(bf16_by_4, bf16_by_8, bf16_by_16);
  const int64_t pieces = first_piece.back();
  // Per piece: outputs [group, head_dim], highest [group], totals [group].
  const int64_t piece_size = group * (head_dim + 2);
  float* parts = scratch(static_cast<size_t>(pieces * piece_size));

  const auto run = [&](int64_t index, int64_t head_index, float* own_weights) {
    const int64_t r = head_index % row_count;
    const int64_t h = head_index / row_count;
    const auto head = static_cast<size_t>(h);
    const DecodeRow& row = rows[static_cast<size_t>(r)];
    const int64_t begin = (index - first_piece[static_cast<size_t>(head_index)]) * kPiece;
    float* part = parts + index * piece_size;
    Piece piece{};
    piece.length = std::min(kPiece, (*row.lengths)[head] - begin);
    const SlotAddresses addresses(row, h);
    const char* keys[kPiece];
    const char* values[kPiece];
    for (int64_t i = 0; i < piece.length; ++i) {
      keys[i] = addresses.key(begin + i);
      values[i] = addresses.value(begin + i);
    }
    piece.keys = keys;
    piece.values = values;
    piece.queries = static_cast<const char*>(q.const_data_ptr()) +
                    static_cast<size_t>(r * q.stride(0) + h * group * head_dim) * element;
    piece.output = part;
    piece.highest = part + group * head_dim;
    piece.total = piece.highest + group;
    piece.scale = static_cast<float>(scale);
    if (row.logit_bias != nullptr) piece.bias = of_head(*row.logit_bias, h).data() + begin;
    if (!row.distances.empty()) {
      piece.distances = of_head(row.distances, h).data() + begin;
      piece.cos = row.rotary->cos().const_data_ptr<float>();
      piece.sin = row.rotary->sin().const_data_ptr<float>();
    }
    piece.group = group;
    piece.head_dim = head_dim;
    piece.weights_stride = kPiece;
    piece.weights = own_weights;
    if (row.weights) {
      const at::Tensor& weights = result.weights[static_cast<size_t>(r)];
      piece.weights_stride = weights.size(1);
      piece.weights = weights.data_ptr<float>() + h * group * weights.size(1) + begin;
    }
    attend(piece);
  };
  share_work(pieces, /*grain=*/1, [&](int64_t begin, int64_t end) {
    std::vector<float> weights(static_cast<size_t>(group * kPiece));
    auto head_index =
        std::upper_bound(first_piece.begin(), first_piece.end(), begin) - first_piece.begin() - 1;
    for (int64_t index = begin; index < end; ++index) {
      while (first_piece[static_cast<size_t>(head_index) + 1] <= index) ++head_index;
      run(index, head_index, weights.data());
    }
  });

  // Below some heads a second thread costs more than it brings.
  at::parallel_for(0, row_count * kv_heads, /*grain_size=*/8, [&](int64_t begin, int64_t end) {
    for (int64_t head_index = begin; head_index < end; ++head_index) {
      const auto i = static_cast<size_t>(head_index);
      const auto r = static_cast<size_t>(head_index % row_count);
      const int64_t h = head_index / row_count;
      const float* part = parts + first_piece[i] * piece_size;
      for (int64_t g = 0; g < group; ++g) {
        Join task{};
        task.outputs = part + g * head_dim;
        task.highest = part + group * head_dim + g;
        task.totals = task.highest + group;
        task.stride = piece_size;
        task.pieces = first_piece[i + 1] - first_piece[i];
        task.head_dim = head_dim;
        task.length = (*rows[r].lengths)[static_cast<size_t>(h)];
        if (rows[r].weights) {
          const at::Tensor& weights = result.weights[r];
          task.weights = weights.data_ptr<float>() + (h * group + g) * weights.size(1);
        }
        task.output =
            static_cast<char*>(result.output.data_ptr()) +
            static_cast<size_t>(((head_index % row_count * kv_heads + h) * group + g) * head_dim) *
                element;
        (wide ? join_fp32 : join_bf16)(task);
      }
    }
  });
  return result;
}

}  // namespace elastikv::cpu
