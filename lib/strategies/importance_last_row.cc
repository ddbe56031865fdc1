#include <vector>

#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/importance.h"

namespace elastikv {
namespace {

/// What the last query of the prompt pays to an entry (TOVA, arXiv 2401.06104: averaged over all
/// heads of a layer).
class LastRowImportance final : public Importance {
 public:
  explicit LastRowImportance(Ranking ranking) : ranking_(ranking) {}

  StatisticsRequest needs() const override { return {.prefill = {.last_rows = 1}}; }
  Granularity granularity() const override { return ranking_.granularity(); }

  std::vector<at::Tensor> scores(const PromptStatistics& prompt) const override {
    std::vector<at::Tensor> per_head;
    per_head.reserve(prompt.layers.size());
    for (const LayerStatistics& layer : prompt.layers) {
      per_head.push_back(last_rows(layer, 1).squeeze(1));
    }
    return ranking_.reduce(std::move(per_head), prompt.kv_heads);
  }

  std::string description() const override {
    return fmt::format("last_row({})", ranking_.description());
  }

 private:
  Ranking ranking_;
};

}  // namespace

std::shared_ptr<const Importance> make_last_row_importance(const Parameters& parameters) {
  parameters.require_known(Ranking::names({}));
  return std::make_shared<LastRowImportance>(Ranking::read(parameters, Granularity::kLayer));
}

}  // namespace elastikv
