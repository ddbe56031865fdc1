#include "strategies/finite.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "kernels/finite.h"

namespace elastikv {

StatisticsRequest non_finite_of(const LayerStatistics& layer) {
  StatisticsRequest broken;
  broken.prefill.column_sums = !all_finite(layer.column_sums);
  broken.prefill.column_max = !all_finite(layer.column_max);
  broken.prefill.row_entropy = !all_finite(layer.row_entropy);
  broken.prefill.last_rows = all_finite(layer.last_rows) ? 0 : layer.last_rows.size(1);
  for (const auto& [decay, averages] : layer.moving_averages) {
    if (!all_finite(averages)) broken.prefill.decays.insert(decay);
  }
  for (const auto& [skip, moments] : layer.query_moments) {
    if (!all_finite(moments.mean) || !all_finite(moments.covariance))
      broken.prefill.query_moments.insert(skip);
  }
  broken.keys = !all_finite(layer.keys);
  broken.values = !all_finite(layer.values);
  return broken;
}

void require_finite(const StatisticsRequest& request,
                    const std::vector<StatisticsRequest>& non_finite) {
  const auto common = [](const auto& wanted, const auto& broken) {
    return std::any_of(wanted.begin(), wanted.end(),
                       [&](const auto& value) { return broken.contains(value); });
  };
  const PrefillRequest& wanted = request.prefill;
  for (size_t layer = 0; layer < non_finite.size(); ++layer) {
    const StatisticsRequest& found = non_finite[layer];
    const PrefillRequest& broken = found.prefill;
    const bool rows = wanted.last_rows > 0 || request.post_image_rows;
    std::string_view what;
    if (request.keys && found.keys) {
      what = "the prompt's keys";
    } else if (request.values && found.values) {
      what = "the prompt's values";
    } else if (common(wanted.query_moments, broken.query_moments)) {
      what = "the moments of the prompt's queries";
    } else if ((wanted.column_sums && broken.column_sums) ||
               (wanted.column_max && broken.column_max) ||
               (wanted.row_entropy && broken.row_entropy) || (rows && broken.last_rows > 0) ||
               common(wanted.decays, broken.decays)) {
      what = "the prompt's attention";
    }
    if (!what.empty()) {
      fail("layer {}: {} not finite; try a wider dtype (fp32 or bf16)", layer,
           fmt::format("{} {}", what, what == "the prompt's attention" ? "is" : "are"));
    }
  }
}

void require_finite_scores(const std::vector<at::Tensor>& scores, int64_t first_layer) {
  for (size_t i = 0; i < scores.size(); ++i) {
    if (all_finite(scores[i])) continue;
    fail("layer {}: the importance of its entries is not finite; try a wider dtype (fp32 or bf16)",
         first_layer + static_cast<int64_t>(i));
  }
}

}  // namespace elastikv
