#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/importance.h"

namespace elastikv {
namespace {

/// Another importance, plus `epsilon`, times the norm of the entry's value: what an entry adds to
/// the output is its attention times its value. Heads that share a ranking average their norms.
/// Meant for scores that are not negative.
class ValueWeightedImportance final : public Importance {
 public:
  ValueWeightedImportance(std::shared_ptr<const Importance> base, double epsilon)
      : base_(std::move(base)), epsilon_(epsilon) {}

  StatisticsRequest needs() const override {
    StatisticsRequest request = base_->needs();
    request.values = true;
    return request;
  }
  Granularity granularity() const override { return base_->granularity(); }

  std::vector<at::Tensor> scores(const PromptStatistics& prompt) const override {
    std::vector<at::Tensor> scores = base_->scores(prompt);
    for (size_t layer = 0; layer < scores.size(); ++layer) {
      const int64_t groups = scores[layer].size(0);
      const at::Tensor norm = norms(prompt.layers[layer].values);
      scores[layer] =
          (scores[layer] + epsilon_) *
          norm.reshape({groups, prompt.kv_heads / groups, prompt.prompt_tokens}).mean(1);
    }
    return scores;
  }

  std::string description() const override {
    return fmt::format("value_weighted(base={},epsilon={})", base_->description(), epsilon_);
  }

 private:
  std::shared_ptr<const Importance> base_;
  double epsilon_;
};

}  // namespace

std::shared_ptr<const Importance> make_value_weighted_importance(const Parameters& parameters) {
  parameters.require_known({"base", "epsilon"});
  const Parameters base = parameters.child("base");
  auto importance = make_importance(base);
  if (importance->granularity() == Granularity::kModel) {
    base.fail_kind("shares one ranking between layers, but values differ between them");
  }
  return std::make_shared<ValueWeightedImportance>(
      std::move(importance), parameters.number("epsilon", /*otherwise=*/0.0, 0.0, 1.0));
}

}  // namespace elastikv
