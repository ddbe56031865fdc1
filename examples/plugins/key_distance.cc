// KeyDiff (arXiv 2504.15364) as a plugin, beside the program's own importance/key_difference:
// entries whose keys are unlike the others' stay.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cosine_similarity.h>

#include "strategies/plugin.h"

namespace elastikv {
namespace {

class KeyDistance final : public Importance {
 public:
  explicit KeyDistance(Ranking ranking) : ranking_(ranking) {}

  // What the engine has to compute; nothing else of the statistics is there.
  StatisticsRequest needs() const override { return {.keys = true}; }
  Granularity granularity() const override { return ranking_.granularity(); }

  // f32 [G, tokens] of each layer; larger stays.
  std::vector<at::Tensor> scores(const PromptStatistics& prompt) const override {
    std::vector<at::Tensor> per_head;
    for (const LayerStatistics& layer : prompt.layers) {
      const at::Tensor lengths = norms(layer.keys).clamp_min(1e-12).unsqueeze(-1);
      const at::Tensor mean = (layer.keys / lengths).mean(1, /*keepdim=*/true);
      per_head.push_back(-at::cosine_similarity(layer.keys, mean, /*dim=*/-1));
    }
    return ranking_.reduce(std::move(per_head), prompt.kv_heads);
  }

  // With every parameter: records are keyed by it.
  std::string description() const override {
    return fmt::format("key_distance({})", ranking_.description());
  }

 private:
  Ranking ranking_;
};

}  // namespace
}  // namespace elastikv

ELASTIKV_PLUGIN(components) {
  components.add_importance("key_distance", [](const elastikv::Parameters& parameters) {
    parameters.require_known(elastikv::Ranking::names({}));
    return std::make_shared<elastikv::KeyDistance>(
        elastikv::Ranking::read(parameters, elastikv::Granularity::kKvHead));
  });
}
