#include <algorithm>
#include <vector>

#include <ATen/ops/cat.h>
#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/importance.h"

namespace elastikv {
namespace {

/// Attention of the last `rows` queries (SnapKV, arXiv 2404.14469): their mean, plus `variance`
/// times their variance (CAKE's indicator, arXiv 2503.12491), smoothed along the entries before the
/// window, head by head. The window's own entries are not smoothed; selections keep them.
class WindowImportance final : public Importance {
 public:
  struct Options {
    int64_t rows;
    int64_t kernel;
    bool largest;  // pool by the largest, not the mean
    double variance;
  };

  WindowImportance(Ranking ranking, const Options& options)
      : ranking_(ranking), options_(options) {}

  StatisticsRequest needs() const override { return {.prefill = {.last_rows = options_.rows}}; }
  Granularity granularity() const override { return ranking_.granularity(); }

  std::vector<at::Tensor> scores(const PromptStatistics& prompt) const override {
    std::vector<at::Tensor> per_head;
    per_head.reserve(prompt.layers.size());
    for (const LayerStatistics& layer : prompt.layers) {
      const at::Tensor rows = last_rows(layer, options_.rows);
      at::Tensor scores = rows.mean(1);
      if (options_.variance > 0 && rows.size(1) > 1) {
        scores = scores.add(rows.var(1, /*unbiased=*/true), options_.variance);
      }
      // A cache that is compressed again may hold fewer entries than queries looked at it.
      const int64_t before = std::max<int64_t>(0, prompt.prompt_tokens - rows.size(1));
      per_head.push_back(
          at::cat({pooled(scores.narrow(1, 0, before), options_.kernel, options_.largest),
                   scores.narrow(1, before, prompt.prompt_tokens - before)},
                  1));
    }
    return ranking_.reduce(std::move(per_head), prompt.kv_heads);
  }

  std::string description() const override {
    return fmt::format("window({},rows={},kernel={},pool={},variance={})", ranking_.description(),
                       options_.rows, options_.kernel, options_.largest ? "max" : "mean",
                       options_.variance);
  }

 private:
  Ranking ranking_;
  Options options_;
};

}  // namespace

std::shared_ptr<const Importance> make_window_importance(const Parameters& parameters) {
  parameters.require_known(Ranking::names({"rows", "kernel", "pool", "variance"}));
  WindowImportance::Options options{};
  options.rows = parameters.integer("rows", /*otherwise=*/32, /*least=*/1);
  options.kernel = parameters.integer("kernel", /*otherwise=*/5, /*least=*/1);
  if (options.kernel % 2 == 0) {
    parameters.fail_kind(
        fmt::format("has an even kernel ({}), but one with a middle is needed", options.kernel));
  }
  options.largest = parameters.choice("pool", "mean", {"mean", "max"}) == "max";
  constexpr double kMost = 1e6;
  options.variance = parameters.number("variance", /*otherwise=*/0.0, 0.0, kMost);
  return std::make_shared<WindowImportance>(Ranking::read(parameters, Granularity::kKvHead),
                                            options);
}

}  // namespace elastikv
