#include <vector>

#include <ATen/ops/arange.h>
#include <fmt/format.h>

#include "base/error.h"
#include "strategies/components.h"
#include "strategies/importance.h"

namespace elastikv {
namespace {

/// Attention that all prompt queries paid to an entry, taken together over the queries that could
/// see it. sum: accumulated attention (H2O, arXiv 2306.14048; Elastic Cache's "frequency", arXiv
/// 2407.18121), which favours early entries, seen by more queries. mean: divided by their number.
/// max: the most that one query paid. moving_average: the average that decays by `decay` with every
/// query, so that late ones count most (Elastic Cache's Table 3).
class AttentionImportance final : public Importance {
 public:
  enum class Reduce { kSum, kMean, kMax, kMovingAverage };

  AttentionImportance(Ranking ranking, Reduce reduce, double decay)
      : ranking_(ranking), reduce_(reduce), decay_(decay) {}

  StatisticsRequest needs() const override {
    StatisticsRequest request;
    if (reduce_ == Reduce::kMax) {
      request.prefill.column_max = true;
    } else if (reduce_ == Reduce::kMovingAverage) {
      request.prefill.decays = {decay_};
    } else {
      request.prefill.column_sums = true;
    }
    return request;
  }

  Granularity granularity() const override { return ranking_.granularity(); }

  Accumulation accumulation() const override {
    if (ranking_.heads() != HeadReduction::kMean) return Accumulation::kNone;
    if (reduce_ == Reduce::kSum) return Accumulation::kSum;
    return reduce_ == Reduce::kMean ? Accumulation::kMeanOverObservers : Accumulation::kNone;
  }

  std::vector<at::Tensor> scores(const PromptStatistics& prompt) const override {
    std::vector<at::Tensor> per_head;
    per_head.reserve(prompt.layers.size());
    for (const LayerStatistics& layer : prompt.layers) {
      per_head.push_back(columns(layer));
      ELASTIKV_ASSERT(per_head.back().defined() && per_head.back().dim() == 2 &&
                          per_head.back().size(0) == prompt.query_heads &&
                          per_head.back().size(1) == prompt.prompt_tokens,
                      "attention of layer {}", per_head.size() - 1);
    }
    return ranking_.reduce(std::move(per_head), prompt.kv_heads);
  }

  std::string description() const override {
    const char* const names[] = {"sum", "mean", "max", "moving_average"};
    const std::string decay =
        reduce_ == Reduce::kMovingAverage ? fmt::format(",decay={}", decay_) : "";
    return fmt::format("attention({},reduce={}{})", ranking_.description(),
                       names[static_cast<int>(reduce_)], decay);
  }

 private:
  at::Tensor columns(const LayerStatistics& layer) const {
    if (reduce_ == Reduce::kMax) return layer.column_max;
    if (reduce_ == Reduce::kMovingAverage) return layer.moving_averages.at(decay_);
    const at::Tensor& sums = layer.column_sums;
    if (reduce_ == Reduce::kSum || !sums.defined()) return sums;
    return sums.div(at::arange(sums.size(1), 0, -1, sums.options()));
  }

  Ranking ranking_;
  Reduce reduce_;
  double decay_;
};

}  // namespace

std::shared_ptr<const Importance> make_attention_importance(const Parameters& parameters) {
  parameters.require_known(Ranking::names({"reduce", "decay"}));
  const std::string reduce =
      parameters.choice("reduce", "sum", {"sum", "mean", "max", "moving_average"});
  using Reduce = AttentionImportance::Reduce;
  constexpr double kSlowest = 1.0 - 1e-9;
  return std::make_shared<AttentionImportance>(
      Ranking::read(parameters, Granularity::kLayer),
      reduce == "sum"    ? Reduce::kSum
      : reduce == "mean" ? Reduce::kMean
      : reduce == "max"  ? Reduce::kMax
                         : Reduce::kMovingAverage,
      parameters.number("decay", /*otherwise=*/0.9, 0.0, kSlowest));
}

}  // namespace elastikv
