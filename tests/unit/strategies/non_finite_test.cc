// No strategy ranks entries by numbers that are not finite.
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ops/full_like.h>
#include <gtest/gtest.h>

#include "strategies/finite.h"
#include "strategies/registry.h"
#include "support/expect_error.h"
#include "unit/strategies/support.h"

namespace elastikv {
namespace {

constexpr int64_t kTokens = 60;
constexpr size_t kBroken = 1;  // the layer that is

/// What a layer's statistics hold, by name, and whether a strategy asks for it.
struct Part {
  std::string name;
  std::function<at::Tensor&(LayerStatistics&)> of;
  std::function<bool(const StatisticsRequest&)> wanted;
  std::string message;
};

std::vector<Part> parts() {
  const std::string attention = "the prompt's attention is";
  return {
      {"column sums", [](LayerStatistics& layer) -> at::Tensor& { return layer.column_sums; },
       [](const StatisticsRequest& request) { return request.prefill.column_sums; }, attention},
      {"column maxima", [](LayerStatistics& layer) -> at::Tensor& { return layer.column_max; },
       [](const StatisticsRequest& request) { return request.prefill.column_max; }, attention},
      {"entropies", [](LayerStatistics& layer) -> at::Tensor& { return layer.row_entropy; },
       [](const StatisticsRequest& request) { return request.prefill.row_entropy; }, attention},
      {"averages",
       [](LayerStatistics& layer) -> at::Tensor& { return layer.moving_averages.at(0.9); },
       [](const StatisticsRequest& request) { return request.prefill.decays.contains(0.9); },
       attention},
      {"rows", [](LayerStatistics& layer) -> at::Tensor& { return layer.last_rows; },
       [](const StatisticsRequest& request) {
         return request.prefill.last_rows > 0 || request.post_image_rows;
       },
       attention},
      {"moments",
       [](LayerStatistics& layer) -> at::Tensor& { return layer.query_moments.at(4).covariance; },
       [](const StatisticsRequest& request) { return request.prefill.query_moments.contains(4); },
       "the moments of the prompt's queries are"},
      {"keys", [](LayerStatistics& layer) -> at::Tensor& { return layer.keys; },
       [](const StatisticsRequest& request) { return request.keys; }, "the prompt's keys are"},
      {"values", [](LayerStatistics& layer) -> at::Tensor& { return layer.values; },
       [](const StatisticsRequest& request) { return request.values; }, "the prompt's values are"},
  };
}

TEST(NonFinite, APresetThatReadsItRefusesItByLayer) {
  std::map<std::string, int> refused;
  for (const Part& part : parts()) {
    PromptStatistics prompt = made_up_prompt(kTokens);
    at::Tensor& damaged = part.of(prompt.layers[kBroken]);
    damaged = damaged.clone();
    damaged.view({-1})[7].fill_(std::numeric_limits<float>::quiet_NaN());
    std::vector<StatisticsRequest> non_finite;
    for (const LayerStatistics& layer : prompt.layers) non_finite.push_back(non_finite_of(layer));
    for (const PresetInfo& preset : list_presets()) {
      const auto strategy = make_strategy(preset.name);
      const std::string message =
          "layer 1: " + part.message + " not finite; try a wider dtype (fp32 or bf16)";
      SCOPED_TRACE(preset.name + ", " + part.name);
      if (part.wanted(strategy->needs())) {
        EXPECT_ERROR(require_finite(strategy->needs(), non_finite), message);
        ++refused[part.name];
      } else {
        EXPECT_NO_THROW(require_finite(strategy->needs(), non_finite));
      }
    }
  }
  for (const char* part : {"column sums", "rows", "moments", "keys", "values"})
    EXPECT_GT(refused[part], 0) << "no preset reads " << part;
}

/// Statistics that nobody has looked through: what is made of them is.
TEST(NonFinite, ImportanceIsLookedAtItself) {
  for (const char* preset : {"expected-attention", "cake", "r-kv", "keydiff", "knorm", "snapkv"}) {
    PromptStatistics prompt = made_up_prompt(kTokens);
    for (const Part& part : parts()) {
      at::Tensor& damaged = part.of(prompt.layers[kBroken]);
      damaged = damaged.clone().fill_(std::numeric_limits<float>::infinity());
    }
    SCOPED_TRACE(preset);
    const auto strategy = make_strategy(preset, {"allocation=uniform"});
    EXPECT_ERROR(
        strategy->compress(prompt, Budget::fraction(0.5)),
        "layer 1: the importance of its entries is not finite; try a wider dtype (fp32 or bf16)");
  }
}

TEST(NonFinite, SoIsAnAllocation) {
  PromptStatistics prompt = made_up_prompt(kTokens);
  prompt.layers[kBroken].row_entropy =
      at::full_like(prompt.layers[kBroken].row_entropy, std::numeric_limits<float>::quiet_NaN());
  const auto strategy = make_strategy("streaming-llm", {"allocation={kind: entropy, of: all}"});
  EXPECT_ERROR(strategy->compress(prompt, Budget::fraction(0.5)),
               "allocation entropy(of=all,temperature=1): what a layer should keep is not finite");
}

}  // namespace
}  // namespace elastikv
