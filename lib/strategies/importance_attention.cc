#include <vector>

#include <ATen/ops/arange.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

#include "base/error.h"
#include "strategies/components.h"

namespace elastikv {
namespace {

/// Accumulated attention: what all prompt queries together paid to an entry (H2O, arXiv 2306.14048;
/// Elastic Cache's "frequency", arXiv 2407.18121). The sum favours early entries, which more
/// queries can see; the mean divides by their number.
class AttentionImportance final : public Importance {
 public:
  AttentionImportance(Granularity granularity, bool mean)
      : granularity_(granularity), mean_(mean) {}

  StatisticsRequest needs() const override { return {.column_sums = true, .decode_rows = false}; }
  Granularity granularity() const override { return granularity_; }
  bool averages_observers() const override { return mean_; }

  std::vector<at::Tensor> scores(const PromptStatistics& prompt) const override {
    std::vector<at::Tensor> layers;
    layers.reserve(prompt.layers.size());
    for (size_t layer = 0; layer < prompt.layers.size(); ++layer) {
      layers.push_back(layer_scores(prompt, layer));
    }
    if (granularity_ == Granularity::kModel) {
      const at::Tensor shared = at::stack(layers).mean(0);
      layers.assign(layers.size(), shared);
    }
    return layers;
  }

  std::string description() const override {
    return fmt::format("attention(granularity={},reduce={})", granularity_name(granularity_),
                       mean_ ? "mean" : "sum");
  }

 private:
  at::Tensor layer_scores(const PromptStatistics& prompt, size_t layer) const {
    const at::Tensor& sums = prompt.layers[layer].column_sums;
    ELASTIKV_ASSERT(sums.defined() && sums.dim() == 2 && sums.size(0) == prompt.query_heads &&
                        sums.size(1) == prompt.prompt_tokens,
                    "column sums of layer {}", layer);
    if (!at::isfinite(sums).all().item<bool>()) {
      fail("layer {}: the prompt's attention is not finite; try a wider dtype (fp32 or bf16)",
           layer);
    }
    const int64_t groups = groups_of(granularity_, prompt.kv_heads);
    at::Tensor scores = sums.reshape({groups, prompt.query_heads / groups, -1}).mean(1);
    if (mean_) scores = scores.div(at::arange(prompt.prompt_tokens, 0, -1, scores.options()));
    return scores.contiguous();
  }

  Granularity granularity_;
  bool mean_;
};

}  // namespace

std::shared_ptr<const Importance> make_attention_importance(const Parameters& parameters) {
  parameters.require_known({"granularity", "reduce"});
  const std::string reduce = parameters.choice("reduce", "sum", {"sum", "mean"});
  return std::make_shared<AttentionImportance>(parameters.granularity(Granularity::kLayer),
                                               reduce == "mean");
}

}  // namespace elastikv
