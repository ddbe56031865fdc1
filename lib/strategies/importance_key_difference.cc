#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/importance.h"

namespace elastikv {
namespace {

/// -cos(k, m) with m the mean of the prompt's keys, each at length 1: keys unlike the others stay
/// (KeyDiff, arXiv 2504.15364). Needs no attention. Keys are compared as they are stored, rotated.
class KeyDifferenceImportance final : public Importance {
 public:
  explicit KeyDifferenceImportance(Ranking ranking) : ranking_(ranking) {}

  StatisticsRequest needs() const override { return {.keys = true}; }
  Granularity granularity() const override { return ranking_.granularity(); }

  std::vector<at::Tensor> scores(const PromptStatistics& prompt) const override {
    std::vector<at::Tensor> per_head;
    per_head.reserve(prompt.layers.size());
    for (const LayerStatistics& layer : prompt.layers) {
      constexpr double kLeast = 1e-12;  // of a length that divides
      const at::Tensor lengths = norms(layer.keys).clamp_min(kLeast).unsqueeze(-1);
      const at::Tensor mean = (layer.keys / lengths).mean(1, /*keepdim=*/true);
      per_head.push_back(-at::cosine_similarity(layer.keys, mean, /*dim=*/-1));
    }
    return ranking_.reduce(std::move(per_head), prompt.kv_heads);
  }

  std::string description() const override {
    return fmt::format("key_difference({})", ranking_.description());
  }

 private:
  Ranking ranking_;
};

}  // namespace

std::shared_ptr<const Importance> make_key_difference_importance(const Parameters& parameters) {
  parameters.require_known(Ranking::names({}));
  return std::make_shared<KeyDifferenceImportance>(Ranking::read(parameters, Granularity::kKvHead));
}

}  // namespace elastikv
