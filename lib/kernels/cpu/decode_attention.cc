#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/util/BFloat16.h>

#include "base/error.h"
#include "kernels/attention.h"
#include "kernels/cpu/clones.h"

namespace elastikv::cpu {
namespace {

/// Room for one rotated key.
constexpr int64_t kLargestHead = 512;

/// Everything one (row, KV head) needs. Strides are in elements: slot i of the head starts at i *
/// head_dim.
struct HeadTask {
  const void* keys;
  const void* values;
  const float* queries;      // [group, head_dim], already scaled
  float* weights;            // [group, weights_stride]: scratch, or the weights that are returned
  float* output;             // [group, head_dim]
  const float* bias;         // [length], or null: added to the logits
  const int64_t* distances;  // [length], or null: keys are rotated already
  const float* cos;          // [positions, head_dim] of the rotary table
  const float* sin;          // first half negated
  int64_t length;
  int64_t group;
  int64_t head_dim;
  int64_t weights_stride;
};

inline float load(const float* p) { return *p; }
inline float load(const uint16_t* p) {
  return std::bit_cast<float>(static_cast<uint32_t>(*p) << 16);
}

template <typename T>
inline __attribute__((always_inline)) void attend(const HeadTask& task) {
  const T* keys = static_cast<const T*>(task.keys);
  const T* values = static_cast<const T*>(task.values);
  float turned[kLargestHead];
  for (int64_t i = 0; i < task.length; ++i) {
    const T* key = keys + i * task.head_dim;
    if (task.distances == nullptr) {
      for (int64_t g = 0; g < task.group; ++g) {
        const float* query = task.queries + g * task.head_dim;
        float sum = 0;
        for (int64_t d = 0; d < task.head_dim; ++d) sum += query[d] * load(key + d);
        task.weights[g * task.weights_stride + i] = sum;
      }
      continue;
    }
    // Turning back by an angle: the sine changes its sign.
    const float* cos = task.cos + task.distances[i] * task.head_dim;
    const float* sin = task.sin + task.distances[i] * task.head_dim;
    const int64_t half = task.head_dim / 2;
    for (int64_t d = 0; d < half; ++d) {
      const float a = load(key + d);
      const float b = load(key + d + half);
      turned[d] = a * cos[d] - b * sin[d];
      turned[d + half] = b * cos[d + half] - a * sin[d + half];
    }
    for (int64_t g = 0; g < task.group; ++g) {
      const float* query = task.queries + g * task.head_dim;
      float sum = 0;
      for (int64_t d = 0; d < task.head_dim; ++d) sum += query[d] * turned[d];
      task.weights[g * task.weights_stride + i] = sum;
    }
  }
  for (int64_t g = 0; g < task.group; ++g) {
    float* weights = task.weights + g * task.weights_stride;
    if (task.bias != nullptr) {
      for (int64_t i = 0; i < task.length; ++i) weights[i] += task.bias[i];
    }
    float highest = -std::numeric_limits<float>::infinity();
    for (int64_t i = 0; i < task.length; ++i) highest = std::max(highest, weights[i]);
    float total = 0;
    for (int64_t i = 0; i < task.length; ++i) {
      weights[i] = std::exp(weights[i] - highest);
      total += weights[i];
    }
    const float inverse = 1.0F / total;
    for (int64_t i = 0; i < task.length; ++i) weights[i] *= inverse;
  }
  std::fill(task.output, task.output + task.group * task.head_dim, 0.0F);
  for (int64_t i = 0; i < task.length; ++i) {
    const T* value = values + i * task.head_dim;
    for (int64_t g = 0; g < task.group; ++g) {
      const float weight = task.weights[g * task.weights_stride + i];
      float* output = task.output + g * task.head_dim;
      for (int64_t d = 0; d < task.head_dim; ++d) output[d] += weight * load(value + d);
    }
  }
}

ELASTIKV_CPU_CLONES void attend_fp32(const HeadTask& task) { attend<float>(task); }
ELASTIKV_CPU_CLONES void attend_bf16(const HeadTask& task) { attend<uint16_t>(task); }

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
  const at::Tensor scaled = (queries.to(at::kFloat) * scale).contiguous();
  const at::Tensor output = at::empty(queries.sizes(), queries.options().dtype(at::kFloat));

  DecodeAttention result;
  result.weights.resize(rows.size());
  int64_t longest_of_all = 0;
  std::vector<int64_t> longest(rows.size());
  for (size_t r = 0; r < rows.size(); ++r) {
    const auto& lengths = *rows[r].lengths;
    ELASTIKV_ASSERT(
        lengths.size() == rows[0].lengths->size() && rows[r].starts->size() == lengths.size(),
        "row {}: {} KV heads", r, lengths.size());
    longest[r] = *std::max_element(lengths.begin(), lengths.end());
    ELASTIKV_ASSERT(*std::min_element(lengths.begin(), lengths.end()) > 0,
                    "row {} has an empty head", r);
    ELASTIKV_ASSERT(rows[r].keys.is_contiguous() && rows[r].values.is_contiguous() &&
                        rows[r].keys.scalar_type() == dtype &&
                        rows[r].values.scalar_type() == dtype,
                    "row {}: keys and values must be contiguous {}", r, c10::toString(dtype));
    ELASTIKV_ASSERT(
        rows[r].distances.empty() || (rows[r].rotary != nullptr && head_dim <= kLargestHead),
        "row {}: un-rotated keys of head_dim {}", r, head_dim);
    longest_of_all = std::max(longest_of_all, longest[r]);
    if (rows[r].weights) {
      result.weights[r] = at::zeros({query_heads, longest[r]}, queries.options().dtype(at::kFloat));
    }
  }
  const int64_t kv_heads = row_count == 0 ? 1 : static_cast<int64_t>(rows[0].lengths->size());
  const int64_t group = query_heads / kv_heads;
  const size_t element = dtype == at::kFloat ? sizeof(float) : sizeof(uint16_t);

  at::parallel_for(0, row_count * kv_heads, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(static_cast<size_t>(group * longest_of_all));
    for (int64_t index = begin; index < end; ++index) {
      const int64_t r = index / kv_heads;
      const int64_t h = index % kv_heads;
      const DecodeRow& row = rows[static_cast<size_t>(r)];
      const size_t offset =
          static_cast<size_t>((*row.starts)[static_cast<size_t>(h)] * head_dim) * element;
      const auto head = [&](const at::Tensor& x) {
        return static_cast<const char*>(x.const_data_ptr()) + offset;
      };
      HeadTask task{};
      task.keys = head(row.keys);
      task.values = head(row.values);
      task.queries = scaled.const_data_ptr<float>() + (r * query_heads + h * group) * head_dim;
      task.output = output.data_ptr<float>() + (r * query_heads + h * group) * head_dim;
      if (row.logit_bias != nullptr) {
        task.bias =
            (*row.logit_bias)[row.logit_bias->size() == 1 ? 0 : static_cast<size_t>(h)].data();
      }
      if (!row.distances.empty()) {
        task.distances =
            row.distances[row.distances.size() == 1 ? 0 : static_cast<size_t>(h)].data();
        task.cos = row.rotary->cos().const_data_ptr<float>();
        task.sin = row.rotary->sin().const_data_ptr<float>();
      }
      task.length = (*row.lengths)[static_cast<size_t>(h)];
      task.group = group;
      task.head_dim = head_dim;
      if (row.weights) {
        task.weights_stride = longest[static_cast<size_t>(r)];
        task.weights = result.weights[static_cast<size_t>(r)].data_ptr<float>() +
                       h * group * task.weights_stride;
      } else {
        task.weights_stride = longest_of_all;
        task.weights = scratch.data();
      }
      if (dtype == at::kFloat) {
        attend_fp32(task);
      } else {
        attend_bf16(task);
      }
    }
  });
  result.output = output.to(dtype);
  return result;
}

}  // namespace elastikv::cpu
