#include <vector>

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/random_stream.h"

namespace elastikv {
namespace {

/// Uniform draws from the sample's seed: the control that every score has to beat.
class RandomImportance final : public Importance {
 public:
  explicit RandomImportance(Granularity granularity) : granularity_(granularity) {}

  StatisticsRequest needs() const override { return {}; }
  Granularity granularity() const override { return granularity_; }

  std::vector<at::Tensor> scores(const PromptStatistics& prompt) const override {
    const int64_t groups = groups_of(granularity_, prompt.kv_heads);
    std::vector<at::Tensor> layers;
    for (size_t layer = 0; layer < prompt.layers.size(); ++layer) {
      at::Tensor scores = at::empty({groups, prompt.prompt_tokens}, at::kFloat);
      for (int64_t group = 0; group < groups; ++group) {
        const bool shared = granularity_ == Granularity::kModel;
        RandomStream stream(prompt.seed, shared ? 0 : static_cast<int64_t>(layer), group);
        float* row = scores.data_ptr<float>() + group * prompt.prompt_tokens;
        for (int64_t n = 0; n < prompt.prompt_tokens; ++n) row[n] = stream.uniform();
      }
      layers.push_back(std::move(scores));
    }
    return layers;
  }

  std::string description() const override {
    return fmt::format("random(granularity={})", granularity_name(granularity_));
  }

 private:
  Granularity granularity_;
};

}  // namespace

std::shared_ptr<const Importance> make_random_importance(const Parameters& parameters) {
  parameters.require_known({"granularity"});
  return std::make_shared<RandomImportance>(parameters.granularity(Granularity::kKvHead));
}

}  // namespace elastikv
