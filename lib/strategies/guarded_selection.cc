#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "strategies/plan_check.h"
#include "strategies/plugin_guards.h"
#include "strategies/statistics_copy.h"

namespace elastikv {
namespace {

class GuardedSelection final : public Selection {
 public:
  GuardedSelection(std::shared_ptr<const Selection> inner, PluginCall call)
      : inner_(std::move(inner)), call_(std::move(call)) {
    needs_scores_ = call_.run([&] { return inner_->needs_scores(); });
    needs_ = call_.run([&] { return inner_->needs(); });
    finest_ = call_.run([&] { return inner_->finest_granularity(); });
    description_ = call_.run([&] { return inner_->description(); });
  }

  bool needs_scores() const override { return needs_scores_; }
  StatisticsRequest needs() const override { return needs_; }
  Granularity finest_granularity() const override { return finest_; }
  std::string description() const override { return description_; }

  Protected protect(int64_t slots) const override {
    const Protected protect = call_.run([&] { return inner_->protect(slots); });
    if (protect.sinks < 0 || protect.recent < 0 || protect.sinks + protect.recent > slots) {
      call_.refuse(fmt::format("protects {} first and {} last entries in {} slots", protect.sinks,
                               protect.recent, slots));
    }
    return protect;
  }

  KeptSlots select(const SelectionInput& input) const override {
    SelectionInput copy = input;
    copy.scores = input.scores.defined() ? input.scores.clone() : at::Tensor();
    std::optional<LayerStatistics> layer;
    if (input.layer != nullptr)
      layer = copy_of(*input.layer, needs_, input.tokens - input.image_end);
    copy.layer = layer ? &*layer : nullptr;
    KeptSlots kept = call_.run([&] { return inner_->select(copy); });
    require_unchanged(call_, copy.scores, input.scores);
    if (layer) require_unchanged(call_, *layer, *input.layer);
    const size_t rows =
        input.scores.defined() ? static_cast<size_t>(input.scores.size(0)) : input.slots.size();
    if (kept.size() != rows)
      call_.refuse(fmt::format("selects for {} groups, {} are needed", kept.size(), rows));
    const std::string problem = problem_of_kept(kept, input.tokens);
    if (!problem.empty()) call_.refuse(problem);
    for (size_t g = 0; g < rows; ++g) check(kept[g], input.slots_of(g), input.tokens);
    return kept;
  }

 private:
  void check(const std::vector<int64_t>& kept, int64_t slots, int64_t tokens) const {
    if (std::ssize(kept) != slots)
      call_.refuse(
          fmt::format("keeps {} of {} entries, {} are to stay", kept.size(), tokens, slots));
    if (const auto dropped = dropped_protected(kept, protect(slots), tokens))
      call_.refuse(fmt::format("drops entry {}, which it protects itself", *dropped));
  }

  std::shared_ptr<const Selection> inner_;
  PluginCall call_;
  bool needs_scores_ = false;
  StatisticsRequest needs_;
  Granularity finest_{};
  std::string description_;
};

class GuardedStepCompaction final : public StepCompaction {
 public:
  GuardedStepCompaction(std::unique_ptr<StepCompaction> inner, PluginCall call)
      : inner_(std::move(inner)), call_(std::move(call)) {}

  std::optional<NearestQuestion> ask(const StepCompactionInput& input) const override {
    std::optional<NearestQuestion> question = call_.run([&] { return inner_->ask(input); });
    if (!question) return question;
    const int64_t length = std::ssize(input.by_position);
    const auto outside = [&](int64_t slot) { return slot < 0 || slot >= length; };
    if (question->layer != input.layer ||
        std::any_of(question->sources.begin(), question->sources.end(), outside) ||
        std::any_of(question->excluded.begin(), question->excluded.end(), outside))
      call_.refuse(fmt::format("asks about slots that layer {} does not have", input.layer));
    return question;
  }

  StepMerge merge(const StepCompactionInput& input) override {
    StepMerge merge = call_.run([&] { return inner_->merge(input); });
    const size_t count = merge.source.size();
    if (merge.anchor.size() != count || merge.source_weight.size() != count ||
        merge.anchor_weight.size() != count) {
      call_.refuse(fmt::format("merges {} sources with {} anchors and {} and {} weights", count,
                               merge.anchor.size(), merge.source_weight.size(),
                               merge.anchor_weight.size()));
    }
    const auto goes = [&](int64_t rank) {
      return std::find(input.evicted.begin(), input.evicted.end(), rank) != input.evicted.end();
    };
    for (size_t i = 0; i < count; ++i) {
      if (!goes(merge.source[i]))
        call_.refuse(fmt::format("merges rank {}, which is not evicted", merge.source[i]));
      if (merge.anchor[i] < 0 || merge.anchor[i] >= std::ssize(input.by_position) ||
          goes(merge.anchor[i]))
        call_.refuse(fmt::format("merges into rank {}, which does not stay", merge.anchor[i]));
      if (!std::isfinite(merge.source_weight[i]) || !std::isfinite(merge.anchor_weight[i]))
        call_.refuse("merges by weights that are not finite");
    }
    return merge;
  }

  std::unique_ptr<StepCompaction> copy() const override {
    std::unique_ptr<StepCompaction> copy = call_.run([&] { return inner_->copy(); });
    if (copy == nullptr) return nullptr;
    return std::make_unique<GuardedStepCompaction>(std::move(copy), call_);
  }

 private:
  std::unique_ptr<StepCompaction> inner_;
  PluginCall call_;
};

class GuardedCompaction final : public Compaction {
 public:
  GuardedCompaction(std::shared_ptr<const Compaction> inner, PluginCall call)
      : inner_(std::move(inner)), call_(std::move(call)) {
    needs_ = call_.run([&] { return inner_->needs(); });
    needs_scores_ = call_.run([&] { return inner_->needs_scores(); });
    merges_ = call_.run([&] { return inner_->merges(); });
    unrotated_ = call_.run([&] { return inner_->merges_unrotated_keys(); });
    description_ = call_.run([&] { return inner_->description(); });
  }

  StatisticsRequest needs() const override { return needs_; }
  bool needs_scores() const override { return needs_scores_; }
  bool merges() const override { return merges_; }
  bool merges_unrotated_keys() const override { return unrotated_; }
  std::string description() const override { return description_; }

  LayerPlan plan(const CompactionInput& input) const override {
    const LayerStatistics layer = copy_of(input.layer, needs_, input.tokens);
    const at::Tensor scores = input.scores.defined() ? input.scores.clone() : at::Tensor();
    LayerPlan plan = call_.run([&] {
      return inner_->plan({.kept = input.kept,
                           .protect = input.protect,
                           .tokens = input.tokens,
                           .scores = scores,
                           .layer = layer,
                           .layer_index = input.layer_index,
                           .seed = input.seed});
    });
    require_unchanged(call_, scores, input.scores);
    require_unchanged(call_, layer, input.layer);
    const std::string problem = problem_of(plan, input.kept, input.tokens);
    if (!problem.empty()) call_.refuse(fmt::format("layer {}: {}", input.layer_index, problem));
    if (plan.source.defined() && !merges_)
      call_.refuse("merges, though it says that it only forgets");
    return plan;
  }

  LayerPlan step_plan_options() const override {
    return call_.run([&] { return inner_->step_plan_options(); });
  }

  std::unique_ptr<StepCompaction> begin(const GenerationStart& start) const override {
    std::unique_ptr<StepCompaction> inner = call_.run([&] { return inner_->begin(start); });
    if (inner == nullptr) return nullptr;
    return std::make_unique<GuardedStepCompaction>(std::move(inner), call_);
  }

 private:
  std::shared_ptr<const Compaction> inner_;
  PluginCall call_;
  StatisticsRequest needs_;
  bool needs_scores_ = false;
  bool merges_ = true;
  bool unrotated_ = false;
  std::string description_;
};

}  // namespace

std::shared_ptr<const Selection> guarded(std::shared_ptr<const Selection> inner, PluginCall call) {
  return std::make_shared<GuardedSelection>(std::move(inner), std::move(call));
}
std::shared_ptr<const Compaction> guarded(std::shared_ptr<const Compaction> inner,
                                          PluginCall call) {
  return std::make_shared<GuardedCompaction>(std::move(inner), std::move(call));
}

}  // namespace elastikv
