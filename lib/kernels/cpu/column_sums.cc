#include "kernels/cpu/column_sums.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/clones.h"
#include "kernels/cpu/exp.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/targets.h"

namespace elastikv::cpu {
namespace {

/// Rows of room behind the queries, so that blocks of them are whole.
constexpr int kBlock = kMostPanelRows;
/// Keys of a panel: their sums stay at hand while all later queries pass.
constexpr int64_t kPanel = kPanelColumns;

/// One panel of keys of one KV head, and one query head over it.
struct Task {
  const float* keys;     // [head_dim][kPanel]
  const float* queries;  // [tokens + kBlock][head_dim], scaled
  const float* lse;      // [tokens]
  const float* weights;  // [averages][tokens + kBlock]
  float* sums;           // [kPanel]
  float* highest;        // [kPanel], or null
  float* averages;       // [averages][kPanel]
  int64_t average_count;
  int64_t weight_stride;
  int64_t first_key;
  int64_t tokens;
  int64_t head_dim;
};

/// For each key n of the panel, over the queries m >= n: sum, maximum and weighted sums of
/// exp(scale q_m k_n - lse_m).
template <int kWidth>
ELASTIKV_INLINE void add_queries(const Task& task) {
  float sums[kPanel] = {};
  float highest[kPanel] = {};
  float block[kMostPanelRows * kPanel];
  for (int64_t m = task.first_key; m < task.tokens; m += kPanelRows<kWidth>) {
    panel_product<kWidth>(task.queries + m * task.head_dim, task.head_dim, task.keys, kPanel,
                          task.head_dim, block, kPanel);
    const int64_t rows = std::min<int64_t>(kPanelRows<kWidth>, task.tokens - m);
    // Only queries of the panel's own tokens see less than all of it.
    const bool masked = m < task.first_key + kPanel;
    for (int64_t r = 0; r < rows; ++r) {
      float* attention = block + r * kPanel;
      const float lse = task.lse[m + r];
      for (int64_t i = 0; i < kPanel; ++i) attention[i] = exp(attention[i] - lse);
      if (masked) {
        const int64_t seen = m + r - task.first_key + 1;
        for (int64_t i = 0; i < kPanel; ++i) attention[i] = i < seen ? attention[i] : 0.0F;
      }
      for (int64_t i = 0; i < kPanel; ++i) sums[i] += attention[i];
      if (task.highest != nullptr) {
        for (int64_t i = 0; i < kPanel; ++i) highest[i] = std::max(highest[i], attention[i]);
      }
      for (int64_t a = 0; a < task.average_count; ++a) {
        const float weight = task.weights[a * task.weight_stride + m + r];
        float* average = task.averages + a * kPanel;
        for (int64_t i = 0; i < kPanel; ++i) average[i] += weight * attention[i];
      }
    }
  }
  std::copy(sums, sums + kPanel, task.sums);
  if (task.highest != nullptr) std::copy(highest, highest + kPanel, task.highest);
}

void add_queries_by_4(const Task& task) { add_queries<4>(task); }
ELASTIKV_AVX2 void add_queries_by_8(const Task& task) { add_queries<8>(task); }
ELASTIKV_AVX512 void add_queries_by_16(const Task& task) { add_queries<16>(task); }

ELASTIKV_CPU_CLONES void scale_queries(const void* from, bool wide, float scale, float* to,
                                       int64_t size) {
  if (wide) {
    for (int64_t i = 0; i < size; ++i) to[i] = static_cast<const float*>(from)[i] * scale;
  } else {
    for (int64_t i = 0; i < size; ++i) to[i] = widen(static_cast<const uint16_t*>(from)[i]) * scale;
  }
}

}  // namespace

ColumnStatistics column_statistics(const at::Tensor& queries, const at::Tensor& keys, double scale,
                                   const at::Tensor& lse, bool maxima,
                                   const at::Tensor& query_weights) {
  const int64_t query_heads = queries.size(0);
  const int64_t tokens = queries.size(1);
  const int64_t head_dim = queries.size(2);
  const int64_t kv_heads = keys.size(0);
  const int64_t group = query_heads / kv_heads;
  const at::ScalarType dtype = queries.scalar_type();
  ELASTIKV_ASSERT((dtype == at::kFloat || dtype == at::kBFloat16) && queries.is_contiguous() &&
                      keys.is_contiguous() && keys.scalar_type() == dtype,
                  "contiguous queries and keys of fp32 or bf16 are needed");
  const bool wide = dtype == at::kFloat;
  const int64_t element = wide ? 4 : 2;
  const int64_t panels = (tokens + kPanel - 1) / kPanel;
  const int64_t padded = panels * kPanel;
  const int64_t averages = query_weights.defined() ? query_weights.size(0) : 0;
  const auto options = at::TensorOptions(at::kFloat);
  ColumnStatistics result;
  result.sums = at::zeros({query_heads, padded}, options);
  if (maxima) result.maxima = at::zeros({query_heads, padded}, options);
  if (averages > 0) result.weighted = at::zeros({averages, query_heads, padded}, options);
  const at::Tensor row_lse = lse.contiguous();
  // Rows past the end are read by a last block, and thrown away.
  const at::Tensor weights = at::zeros({std::max<int64_t>(averages, 1), tokens + kBlock}, options);
  if (averages > 0) weights.narrow(1, 0, tokens).copy_(query_weights);

  const auto add = for_this_processor(add_queries_by_4, add_queries_by_8, add_queries_by_16);
  // Early panels are seen by all queries, late ones by few: a thread takes panels from both ends.
  const int64_t pairs = (panels + 1) / 2;
  for (int64_t h = 0; h < kv_heads; ++h) {
    const at::Tensor scaled = at::zeros({group, tokens + kBlock, head_dim}, options);
    for (int64_t g = 0; g < group; ++g) {
      scale_queries(static_cast<const char*>(queries.const_data_ptr()) +
                        (h * group + g) * tokens * head_dim * element,
                    wide, static_cast<float>(scale),
                    scaled.data_ptr<float>() + g * (tokens + kBlock) * head_dim, tokens * head_dim);
    }
    const auto* head_keys =
        static_cast<const char*>(keys.const_data_ptr()) + h * tokens * head_dim * element;
    const auto run = [&](int64_t panel, std::vector<float>& packed, std::vector<float>& average) {
      const int64_t first = panel * kPanel;
      const int64_t filled = std::min(kPanel, tokens - first);
      std::fill(packed.begin(), packed.end(), 0.0F);
      for (int64_t i = 0; i < filled; ++i) {
        for (int64_t d = 0; d < head_dim; ++d) {
          const int64_t at = (first + i) * head_dim + d;
          packed[static_cast<size_t>(d * kPanel + i)] =
              wide ? reinterpret_cast<const float*>(head_keys)[at]
                   : widen(reinterpret_cast<const uint16_t*>(head_keys)[at]);
        }
      }
      for (int64_t g = 0; g < group; ++g) {
        const int64_t head = h * group + g;
        std::fill(average.begin(), average.end(), 0.0F);
        Task task{};
        task.keys = packed.data();
        task.queries = scaled.const_data_ptr<float>() + g * (tokens + kBlock) * head_dim;
        task.lse = row_lse.const_data_ptr<float>() + head * tokens;
        task.weights = weights.const_data_ptr<float>();
        task.sums = result.sums.data_ptr<float>() + head * padded + first;
        if (maxima) task.highest = result.maxima.data_ptr<float>() + head * padded + first;
        task.averages = average.data();
        task.average_count = averages;
        task.weight_stride = weights.size(1);
        task.first_key = first;
        task.tokens = tokens;
        task.head_dim = head_dim;
        add(task);
        for (int64_t a = 0; a < averages; ++a) {
          std::copy_n(
              average.data() + a * kPanel, kPanel,
              result.weighted.data_ptr<float>() + (a * query_heads + head) * padded + first);
        }
      }
    };
    at::parallel_for(0, pairs, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
      std::vector<float> packed(static_cast<size_t>(head_dim * kPanel));
      std::vector<float> average(static_cast<size_t>(std::max<int64_t>(averages, 1) * kPanel));
      for (int64_t pair = begin; pair < end; ++pair) {
        run(pair, packed, average);
        if (panels - 1 - pair != pair) run(panels - 1 - pair, packed, average);
      }
    });
  }
  result.sums = result.sums.narrow(1, 0, tokens).contiguous();
  if (maxima) result.maxima = result.maxima.narrow(1, 0, tokens).contiguous();
  if (averages > 0) result.weighted = result.weighted.narrow(2, 0, tokens).contiguous();
  return result;
}

}  // namespace elastikv::cpu
