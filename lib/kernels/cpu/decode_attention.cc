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

/// The most common head_dim, 64, has bodies of its own.
constexpr int kVectors = 4;
constexpr int kQueries = 3;

/// Slots of a prompt that a row has kept in part lie apart, where no processor expects them.
template <typename T>
ELASTIKV_INLINE void prefetch(const char* const* slots, int64_t i, int64_t length) {
  constexpr int64_t kAhead = 4;
  constexpr int64_t kLine = 64;
  const char* slot = slots[std::min(i + kAhead, length - 1)];
  for (int64_t at = 0; at < kVectors * kLanes * static_cast<int64_t>(sizeof(T)); at += kLine)
    __builtin_prefetch(slot + at);
}

/// output = sum of weight * value for kCount queries from `first` on; head_dim is kVectors *
/// kLanes.
template <typename T, int kCount>
ELASTIKV_INLINE void add_values(const Piece& piece, int64_t first) {
  const float* weights = piece.weights + first * piece.weights_stride;
  Lanes sums[kCount][kVectors];
  for (int g = 0; g < kCount; ++g) {
    for (int v = 0; v < kVectors; ++v) sums[g][v] = Lanes{};
  }
  for (int64_t i = 0; i < piece.length; ++i) {
    const T* slot = reinterpret_cast<const T*>(piece.values[i]);
    prefetch<T>(piece.values, i, piece.length);
    for (int v = 0; v < kVectors; ++v) {
      Lanes value;
      load(slot + v * kLanes, value);
      for (int g = 0; g < kCount; ++g) sums[g][v] += weights[g * piece.weights_stride + i] * value;
    }
  }
  for (int g = 0; g < kCount; ++g) {
    for (int v = 0; v < kVectors; ++v)
      store(sums[g][v], piece.output + ((first + g) * kVectors + v) * kLanes);
  }
}

/// logits = queries . keys for kCount queries from `first` on, which stay in registers while the
/// keys pass; head_dim is kVectors * kLanes and keys are rotated already.
template <typename T, int kCount>
ELASTIKV_INLINE void multiply_keys(const Piece& piece, const float* queries, int64_t first) {
  float* logits = piece.weights + first * piece.weights_stride;
  Lanes query[kCount][kVectors];
  for (int g = 0; g < kCount; ++g) {
    for (int v = 0; v < kVectors; ++v)
      load(queries + ((first + g) * kVectors + v) * kLanes, query[g][v]);
  }
  for (int64_t i = 0; i < piece.length; ++i) {
    const T* slot = reinterpret_cast<const T*>(piece.keys[i]);
    prefetch<T>(piece.keys, i, piece.length);
    Lanes key[kVectors];
    for (int v = 0; v < kVectors; ++v) load(slot + v * kLanes, key[v]);
    for (int g = 0; g < kCount; ++g) {
      const Lanes products = (query[g][0] * key[0] + query[g][1] * key[1]) +
                             (query[g][2] * key[2] + query[g][3] * key[3]);
      logits[g * piece.weights_stride + i] = elastikv::cpu::sum(products);
    }
  }
}

template <typename T>
inline __attribute__((always_inline)) void attend(const Piece& piece) {
  const int64_t head_dim = piece.head_dim;
  float queries[kLargestGroup * kLargestHead];
  for (int64_t i = 0; i < piece.group * head_dim; ++i) {
    queries[i] = widen(static_cast<const T*>(piece.queries)[i]) * piece.scale;
  }
  float turned[kLargestHead];
  const bool common = head_dim == kVectors * kLanes;
  if (common && piece.distances == nullptr) {
    int64_t g = 0;
    for (; g + kQueries <= piece.group; g += kQueries)
      multiply_keys<T, kQueries>(piece, queries, g);
    for (; g < piece.group; ++g) multiply_keys<T, 1>(piece, queries, g);
  }
  for (int64_t i = common && piece.distances == nullptr ? piece.length : 0; i < piece.length; ++i) {
    const T* key = reinterpret_cast<const T*>(piece.keys[i]);
    if (piece.distances == nullptr) {
      for (int64_t d = 0; d < head_dim; ++d) turned[d] = widen(key[d]);
    } else {
      // Turning back by an angle: the sine changes its sign.
      const float* cos = piece.cos + piece.distances[i] * head_dim;
      const float* sin = piece.sin + piece.distances[i] * head_dim;
      const int64_t half = head_dim / 2;
      for (int64_t d = 0; d < half; ++d) {
        const float a = widen(key[d]);
        const float b = widen(key[d + half]);
        turned[d] = a * cos[d] - b * sin[d];
        turned[d + half] = b * cos[d + half] - a * sin[d + half];
      }
    }
    for (int64_t g = 0; g < piece.group; ++g) {
      const float* query = queries + g * head_dim;
      float* logit = piece.weights + g * piece.weights_stride + i;
      float sum = 0;
      for (int64_t d = 0; d < head_dim; ++d) sum += query[d] * turned[d];
      *logit = sum;
    }
  }
  for (int64_t g = 0; g < piece.group; ++g) {
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
  if (common) {
    // Outputs of up to kQueries queries stay in registers while the values pass.
    int64_t g = 0;
    for (; g + kQueries <= piece.group; g += kQueries) add_values<T, kQueries>(piece, g);
    for (; g < piece.group; ++g) add_values<T, 1>(piece, g);
    return;
  }
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

ELASTIKV_CPU_CLONES void attend_fp32(const Piece& piece) { attend<float>(piece); }
ELASTIKV_CPU_CLONES void attend_bf16(const Piece& piece) { attend<uint16_t>(piece); }

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
    (wide ? attend_fp32 : attend_bf16)(piece);
  };
  at::parallel_for(0, pieces, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
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
