#include <utility>
#include <vector>

#include <fmt/format.h>

#include "strategies/plan_check.h"
#include "strategies/plugin_guards.h"
#include "strategies/statistics_copy.h"

namespace elastikv {
namespace {

/// Entries that stay in a group after a plan.
int64_t length_after(const StepPlan& plan, const KVCache& cache, int64_t layer, int64_t group) {
  const auto row = [group](int64_t rows) { return rows == 1 ? int64_t{0} : group; };
  if (!plan.rebuild.keeps_everything()) {
    const at::Tensor kept = plan.rebuild.kept.select(0, row(plan.rebuild.kept.size(0)));
    return kept.ge(0).sum().item<int64_t>();
  }
  const int64_t length = cache.length(layer, row(cache.groups(layer)));
  if (plan.evict.empty()) return length;
  return length -
         std::ssize(plan.evict[static_cast<size_t>(row(static_cast<int64_t>(plan.evict.size())))]);
}

class GuardedPolicy final : public GenerationPolicy {
 public:
  /// `start`: what the policy began with, without statistics.
  GuardedPolicy(std::unique_ptr<GenerationPolicy> inner, GenerationStart start, PluginCall call)
      : inner_(std::move(inner)), start_(std::move(start)), call_(std::move(call)) {
    joins_ = call_.run([&] { return inner_->joins(); });
    overshoot_ = call_.run([&] { return inner_->overshoot(); });
    if (overshoot_ < 1)
      call_.refuse(fmt::format("has an overshoot of {}, at least 1 is needed", overshoot_));
  }

  bool joins() const override { return joins_; }
  int64_t overshoot() const override { return overshoot_; }

  std::vector<NearestQuestion> ask(const DecodeStep& step) override {
    return call_.run([&] { return inner_->ask(step); });
  }

  std::vector<StepPlan> step(const DecodeStep& step) override {
    std::vector<StepPlan> plans = call_.run([&] { return inner_->step(step); });
    const KVCache& cache = *step.cache;
    const int64_t layers = cache.shape().layers;
    if (!plans.empty() && std::ssize(plans) != layers)
      call_.refuse(
          fmt::format("plans a step of {} layers, the cache has {}", plans.size(), layers));
    for (int64_t layer = 0; layer < layers; ++layer) {
      const StepPlan none;
      const StepPlan& plan = plans.empty() ? none : plans[static_cast<size_t>(layer)];
      const std::string problem = problem_of(plan, cache, layer);
      if (!problem.empty()) call_.refuse(fmt::format("layer {}: {}", layer, problem));
      require_budget(plan, step, layer);
    }
    return plans;
  }

  std::vector<Lifetimes> foresee(const KVCache& cache, int64_t tokens_seen,
                                 int64_t new_tokens) override {
    std::vector<Lifetimes> layers =
        call_.run([&] { return inner_->foresee(cache, tokens_seen, new_tokens); });
    if (!layers.empty() && std::ssize(layers) != cache.shape().layers)
      call_.refuse(fmt::format("foresees {} layers of {}", layers.size(), cache.shape().layers));
    for (int64_t layer = 0; layer < std::ssize(layers); ++layer) {
      const auto& until = layers[static_cast<size_t>(layer)].until;
      if (std::ssize(until) != cache.groups(layer))
        call_.refuse(fmt::format("foresees {} groups of {}", until.size(), cache.groups(layer)));
      for (int64_t group = 0; group < std::ssize(until); ++group) {
        const int64_t entries = cache.length(layer, group) + new_tokens;
        const auto foreseen = std::ssize(until[static_cast<size_t>(group)]);
        if (foreseen != entries)
          call_.refuse(fmt::format("foresees {} entries, {} come", foreseen, entries));
      }
    }
    return layers;
  }

  std::unique_ptr<GenerationPolicy> go_on(const Budget& budget) const override {
    std::unique_ptr<GenerationPolicy> copy = call_.run([&] { return inner_->go_on(budget); });
    if (copy == nullptr) return nullptr;
    GenerationStart start = start_;
    start.budget = budget;
    return std::make_unique<GuardedPolicy>(std::move(copy), std::move(start), call_);
  }

 private:
  void require_budget(const StepPlan& plan, const DecodeStep& step, int64_t layer) const {
    const int64_t heads = step.cache->shape().kv_heads;
    for (int64_t group = 0; group < heads; ++group) {
      const int64_t allowed = start_.slots(layer, group, step.tokens_seen) + overshoot_ - 1;
      const int64_t length = length_after(plan, *step.cache, layer, group);
      if (length <= allowed) continue;
      call_.refuse(fmt::format("layer {}: leaves {} entries after {} tokens, the budget allows {}",
                               layer, length, step.tokens_seen, allowed));
    }
  }

  std::unique_ptr<GenerationPolicy> inner_;
  GenerationStart start_;
  PluginCall call_;
  bool joins_ = false;
  int64_t overshoot_ = 1;
};

class GuardedGeneration final : public Generation {
 public:
  GuardedGeneration(std::shared_ptr<const Generation> inner, PluginCall call)
      : inner_(std::move(inner)), call_(std::move(call)) {
    needs_rows_ = call_.run([&] { return inner_->needs_rows(); });
    accumulates_ = call_.run([&] { return inner_->accumulates(); });
    recompresses_ = call_.run([&] { return inner_->recompresses(); });
    finest_ = call_.run([&] { return inner_->finest_granularity(); });
    description_ = call_.run([&] { return inner_->description(); });
  }

  bool needs_rows() const override { return needs_rows_; }
  bool accumulates() const override { return accumulates_; }
  bool recompresses() const override { return recompresses_; }
  Granularity finest_granularity() const override { return finest_; }
  std::string description() const override { return description_; }

  std::unique_ptr<GenerationPolicy> begin(GenerationStart start) const override {
    StatisticsRequest needs;
    if (start.importance != nullptr) needs = start.importance->needs();
    if (start.selection != nullptr) needs = needs | start.selection->needs();
    if (start.compaction != nullptr) needs = needs | start.compaction->needs();
    GenerationStart own = start;
    own.prompt = copy_of(start.prompt, StatisticsRequest{});
    start.prompt = copy_of(start.prompt, needs);
    std::unique_ptr<GenerationPolicy> policy =
        call_.run([&] { return inner_->begin(std::move(start)); });
    if (policy == nullptr) return nullptr;
    return std::make_unique<GuardedPolicy>(std::move(policy), std::move(own), call_);
  }

 private:
  std::shared_ptr<const Generation> inner_;
  PluginCall call_;
  bool needs_rows_ = false;
  bool accumulates_ = false;
  bool recompresses_ = false;
  Granularity finest_{};
  std::string description_;
};

}  // namespace

std::shared_ptr<const Generation> guarded(std::shared_ptr<const Generation> inner,
                                          PluginCall call) {
  return std::make_shared<GuardedGeneration>(std::move(inner), std::move(call));
}

}  // namespace elastikv
