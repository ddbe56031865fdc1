#include <vector>

#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/importance.h"

namespace elastikv {
namespace {

/// -|k|, the Euclidean norm of an entry's key: entries with small keys draw much attention (arXiv
/// 2406.11430). Needs no attention; rotation leaves norms alone.
class KeyNormImportance final : public Importance {
 public:
  explicit KeyNormImportance(Ranking ranking) : ranking_(ranking) {}

  StatisticsRequest needs() const override { return {.keys = true}; }
  Granularity granularity() const override { return ranking_.granularity(); }

  std::vector<at::Tensor> scores(const PromptStatistics& prompt) const override {
    std::vector<at::Tensor> per_head;
    per_head.reserve(prompt.layers.size());
    for (const LayerStatistics& layer : prompt.layers) per_head.push_back(-norms(layer.keys));
    return ranking_.reduce(std::move(per_head), prompt.kv_heads);
  }

  std::string description() const override {
    return fmt::format("key_norm({})", ranking_.description());
  }

 private:
  Ranking ranking_;
};

}  // namespace

std::shared_ptr<const Importance> make_key_norm_importance(const Parameters& parameters) {
  parameters.require_known(Ranking::names({}));
  return std::make_shared<KeyNormImportance>(Ranking::read(parameters, Granularity::kKvHead));
}

}  // namespace elastikv
