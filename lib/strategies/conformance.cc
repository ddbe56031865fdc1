#include "strategies/conformance.h"

#include <algorithm>
#include <memory>
#include <random>
#include <utility>

#include <ATen/ops/equal.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "kernels/finite.h"
#include "strategies/compaction.h"
#include "strategies/made_up.h"
#include "strategies/plan_check.h"
#include "strategies/statistics_copy.h"

namespace elastikv {
namespace {

/// Collects what is found of one promise.
class Promise {
 public:
  explicit Promise(std::string name) { check_.name = std::move(name); }

  /// Looks at one case; `look` returns what is wrong, or an empty text.
  template <typename Look>
  void look(const std::string& where, const Look& look) {
    ++check_.cases;
    std::string problem;
    try {
      problem = look();
    } catch (const Error& error) {
      problem = error.what();
    } catch (const InternalError& error) {
      problem = error.what();
    }
    if (problem.empty()) return;
    if (check_.broken++ == 0) check_.finding = fmt::format("{}: {}", where, problem);
  }
  ConformanceCheck take() { return std::move(check_); }

 private:
  ConformanceCheck check_;
};

/// A strategy with the parts that say what it promises.
struct Checked {
  explicit Checked(Composition composition)
      : selection(composition.selection), strategy(compose(std::move(composition))) {}

  std::shared_ptr<const Selection> selection;
  std::unique_ptr<Strategy> strategy;
};

/// Something to look at: a prompt that the strategy can compress.
using Prompts = std::vector<PromptStatistics>;

Prompts prompts_for(const Strategy& strategy, const std::vector<int64_t>& lengths) {
  const StatisticsRequest needs = strategy.needs();
  Prompts prompts;
  for (const int64_t tokens : lengths) {
    PromptStatistics prompt = made_up_prompt(tokens, /*layers=*/3, /*query_heads=*/4,
                                             /*kv_heads=*/2, /*seed=*/1, needs.prefill);
    if (missing_for(needs, tokens, prompt.image_begin, prompt.image_end).empty())
      prompts.push_back(std::move(prompt));
  }
  return prompts;
}

std::string text_of(const PromptStatistics& prompt, const Budget& budget) {
  return fmt::format("{} tokens, {}", prompt.prompt_tokens, budget.name());
}

KeptSlots kept_of(const LayerPlan& plan, int64_t groups, int64_t tokens) {
  KeptSlots kept;
  for (int64_t group = 0; group < groups; ++group) kept.push_back(kept_slots(plan, group, tokens));
  return kept;
}

bool same_tensor(const at::Tensor& a, const at::Tensor& b) {
  return a.defined() == b.defined() && (!a.defined() || at::equal(a, b));
}

/// Which part of two lists of plans is not the same, or an empty text.
std::string difference(const std::vector<LayerPlan>& a, const std::vector<LayerPlan>& b) {
  if (a.size() != b.size()) return fmt::format("{} and {} plans", a.size(), b.size());
  for (size_t layer = 0; layer < a.size(); ++layer) {
    if (!same_tensor(a[layer].kept, b[layer].kept))
      return fmt::format("layer {} keeps other entries", layer);
    if (!same_tensor(a[layer].source, b[layer].source) ||
        !same_tensor(a[layer].anchor, b[layer].anchor) ||
        !same_tensor(a[layer].source_weight, b[layer].source_weight) ||
        !same_tensor(a[layer].anchor_weight, b[layer].anchor_weight))
      return fmt::format("layer {} merges otherwise", layer);
  }
  return "";
}

ConformanceCheck check_scores(const Checked& checked, const Prompts& prompts) {
  Promise promise("scores are finite, one for each entry");
  for (const PromptStatistics& prompt : prompts) {
    promise.look(fmt::format("{} tokens", prompt.prompt_tokens), [&]() -> std::string {
      const std::vector<at::Tensor> scores = checked.strategy->importance(prompt);
      if (scores.empty()) return "";
      if (scores.size() != prompt.layers.size())
        return fmt::format("scores of {} layers of {}", scores.size(), prompt.layers.size());
      for (size_t layer = 0; layer < scores.size(); ++layer) {
        const at::Tensor& row = scores[layer];
        if (row.dim() != 2 || row.size(1) != prompt.prompt_tokens ||
            (row.size(0) != 1 && row.size(0) != prompt.kv_heads))
          return fmt::format("layer {} has scores of shape [{}]", layer,
                             fmt::join(row.sizes(), ", "));
        if (!all_finite(row)) return fmt::format("layer {} has scores that are not finite", layer);
      }
      return "";
    });
  }
  return promise.take();
}

/// Calls `look` with every prompt, every budget and the strategy's plans for them.
template <typename Look>
ConformanceCheck check_compressed(const char* name, const Checked& checked, const Prompts& prompts,
                                  const std::vector<double>& budgets, const Look& look) {
  Promise promise(name);
  for (const PromptStatistics& prompt : prompts) {
    for (const double keep : budgets) {
      const Budget budget = Budget::fraction(keep);
      promise.look(text_of(prompt, budget), [&]() -> std::string {
        return look(prompt, budget, checked.strategy->compress(prompt, budget));
      });
    }
  }
  return promise.take();
}

std::string look_at_plans(const PromptStatistics& prompt, const Budget& /*budget*/,
                          const std::vector<LayerPlan>& plans) {
  if (plans.size() != prompt.layers.size())
    return fmt::format("{} plans for {} layers", plans.size(), prompt.layers.size());
  for (size_t layer = 0; layer < plans.size(); ++layer) {
    if (plans[layer].keeps_everything()) continue;
    const std::string problem = problem_of(plans[layer], prompt.prompt_tokens);
    if (!problem.empty()) return fmt::format("layer {} {}", layer, problem);
  }
  return "";
}

std::string look_at_counts(const PromptStatistics& prompt, const Budget& budget,
                           const std::vector<LayerPlan>& plans) {
  const int64_t tokens = prompt.prompt_tokens;
  const int64_t asked = budget.slots(tokens, tokens) * std::ssize(prompt.layers) * prompt.kv_heads;
  int64_t total = 0;
  for (const LayerPlan& plan : plans) {
    for (const auto& row : kept_of(plan, prompt.kv_heads, tokens)) total += std::ssize(row);
  }
  if (total == asked) return "";
  return fmt::format("{} entries stay in all heads of all layers, {} are asked for", total, asked);
}

std::string look_at_protected(const Selection& selection, const PromptStatistics& prompt,
                              const std::vector<LayerPlan>& plans) {
  for (size_t layer = 0; layer < plans.size(); ++layer) {
    for (const auto& row : kept_of(plans[layer], prompt.kv_heads, prompt.prompt_tokens)) {
      const auto dropped =
          dropped_protected(row, selection.protect(std::ssize(row)), prompt.prompt_tokens);
      if (dropped)
        return fmt::format("layer {}: entry {} goes, which is protected", layer, *dropped);
    }
  }
  return "";
}

ConformanceCheck check_whole_budget(const Checked& checked, const Prompts& prompts) {
  Promise promise("budget 1.0 changes nothing");
  for (const PromptStatistics& prompt : prompts) {
    for (const Budget& budget : {Budget::unlimited(), Budget::fraction(1.0)}) {
      promise.look(text_of(prompt, budget), [&]() -> std::string {
        const auto plans = checked.strategy->compress(prompt, budget);
        for (size_t layer = 0; layer < plans.size(); ++layer) {
          if (!plans[layer].keeps_everything()) return fmt::format("layer {} is changed", layer);
        }
        if (checked.strategy->begin_generation(prompt, plans, budget) != nullptr)
          return "entries are evicted while generating";
        return "";
      });
    }
  }
  return promise.take();
}

ConformanceCheck check_repeats(const MakeComposition& make, const Prompts& prompts) {
  Promise promise("the same input gives the same plan");
  const Budget budget = Budget::fraction(0.3);
  for (const PromptStatistics& prompt : prompts) {
    promise.look(text_of(prompt, budget), [&] {
      return difference(Checked(make()).strategy->compress(prompt, budget),
                        Checked(make()).strategy->compress(prompt, budget));
    });
  }
  return promise.take();
}

ConformanceCheck check_traces(const MakeComposition& make, const Prompts& prompts) {
  Promise promise("samples leave no traces");
  const Budget budget = Budget::fraction(0.4);
  for (const PromptStatistics& other : prompts) {
    const PromptStatistics& prompt = prompts.back();
    promise.look(fmt::format("{} after {} tokens", text_of(prompt, budget), other.prompt_tokens),
                 [&] {
                   const Checked used(make());
                   used.strategy->compress(other, Budget::fraction(0.2));
                   return difference(Checked(make()).strategy->compress(prompt, budget),
                                     used.strategy->compress(prompt, budget));
                 });
  }
  return promise.take();
}

ConformanceCheck check_inputs(const Checked& checked, const Prompts& prompts) {
  Promise promise("statistics stay as they are");
  const Budget budget = Budget::fraction(0.3);
  StatisticsRequest all = checked.strategy->needs();
  all.prefill.column_sums = all.prefill.column_max = all.prefill.row_entropy = true;
  all.keys = all.values = true;
  for (const PromptStatistics& prompt : prompts) {
    all.prefill.last_rows = prompt.prompt_tokens;
    promise.look(text_of(prompt, budget), [&]() -> std::string {
      const PromptStatistics used = copy_of(prompt, all);
      const auto plans = checked.strategy->compress(used, budget);
      checked.strategy->begin_generation(used, plans, budget);
      const std::string changed = changed_in(used, prompt);
      return changed.empty() ? "" : "changed: " + changed;
    });
  }
  return promise.take();
}

/// What a cache holds after every token against its budget.
class DecodeCheck {
 public:
  DecodeCheck(const Checked& checked, const PromptStatistics& prompt, Budget budget)
      : checked_(checked),
        prompt_(prompt),
        budget_(std::move(budget)),
        cache_(made_up_cache(prompt)) {}

  std::string run(int64_t steps) {
    start_.prompt = copy_of(prompt_, StatisticsRequest{});
    start_.budget = budget_;
    start_.plans = checked_.strategy->compress(prompt_, budget_);
    for (int64_t layer = 0; layer < cache_.shape().layers; ++layer)
      cache_.apply(layer, start_.plans[static_cast<size_t>(layer)]);
    const auto policy = checked_.strategy->begin_generation(prompt_, start_.plans, budget_);
    const int64_t overshoot = policy == nullptr ? 1 : policy->overshoot();
    std::mt19937 random(3);
    for (int64_t i = 1; i <= steps; ++i) {
      const int64_t seen = prompt_.prompt_tokens + i;
      decode_step(cache_, policy.get(), prompt_, seen, random);
      const std::string problem = look(seen, policy == nullptr, overshoot);
      if (!problem.empty()) return fmt::format("after {} new tokens, {}", i, problem);
    }
    return "";
  }

 private:
  std::string look(int64_t seen, bool keeps_new, int64_t overshoot) const {
    for (int64_t layer = 0; layer < cache_.shape().layers; ++layer) {
      for (int64_t head = 0; head < prompt_.kv_heads; ++head) {
        const int64_t length = cache_.head_lengths(layer)[static_cast<size_t>(head)];
        // A policy that never evicts keeps to the budget of the prompt.
        const int64_t allowed = keeps_new ? start_.kept(layer, head) + seen - prompt_.prompt_tokens
                                          : start_.slots(layer, head, seen) + overshoot - 1;
        if (length > allowed) {
          return fmt::format("layer {} holds {} entries in head {}, the budget allows {}", layer,
                             length, head, allowed);
        }
      }
      for (int64_t group = 0; group < cache_.groups(layer); ++group) {
        std::vector<int64_t> positions = cache_.positions(layer, group);
        std::sort(positions.begin(), positions.end());
        if (std::adjacent_find(positions.begin(), positions.end()) != positions.end())
          return fmt::format("layer {} holds an entry twice", layer);
      }
    }
    return "";
  }

  const Checked& checked_;
  const PromptStatistics& prompt_;
  Budget budget_;
  KVCache cache_;
  GenerationStart start_;
};

ConformanceCheck check_decoding(const char* name, const Checked& checked, const Prompts& prompts,
                                int64_t steps) {
  Promise promise(name);
  std::vector<Budget> budgets{Budget::tokens(1), Budget::tokens(7)};
  for (const double keep : {0.05, 0.3, 0.9}) {
    budgets.push_back(Budget::fraction(keep));
    budgets.push_back(Budget::fraction(keep, Budget::Growth::kPrompt));
  }
  for (const PromptStatistics& prompt : prompts) {
    for (const Budget& budget : budgets) {
      promise.look(text_of(prompt, budget),
                   [&] { return DecodeCheck(checked, prompt, budget).run(steps); });
    }
  }
  return promise.take();
}

}  // namespace

std::vector<ConformanceCheck> check_conformance(const MakeComposition& make,
                                                const ConformanceOptions& options) {
  const Checked checked(make());
  const Prompts prompts = prompts_for(*checked.strategy, options.prompt_tokens);
  if (prompts.empty()) fail("the strategy can compress none of the prompts");
  const bool exact = checked.selection->keeps_exactly();
  std::vector<ConformanceCheck> checks;
  checks.push_back(check_scores(checked, prompts));
  const auto check = [&](const char* name, const auto& look) {
    return check_compressed(name, checked, prompts, options.budgets, look);
  };
  checks.push_back(check("plans keep entries that are there, each once, in order", look_at_plans));
  const auto if_exact = [&](const char* name, const auto& make_check) {
    if (exact) return make_check(name);
    ConformanceCheck skipped;
    skipped.name = name;
    skipped.skipped = "its selection counts in a way of its own";
    return skipped;
  };
  checks.push_back(
      if_exact("counts are exact", [&](const char* name) { return check(name, look_at_counts); }));
  checks.push_back(if_exact("protected entries stay", [&](const char* name) {
    return check(name, [&](const PromptStatistics& prompt, const Budget& /*budget*/,
                           const std::vector<LayerPlan>& plans) {
      return look_at_protected(*checked.selection, prompt, plans);
    });
  }));
  checks.push_back(check_whole_budget(checked, prompts));
  checks.push_back(if_exact(
      "the cache is within its budget after every token",
      [&](const char* name) { return check_decoding(name, checked, prompts, options.steps); }));
  checks.push_back(check_repeats(make, prompts));
  checks.push_back(check_traces(make, prompts));
  checks.push_back(check_inputs(checked, prompts));
  return checks;
}

bool conforms(const std::vector<ConformanceCheck>& checks) {
  return std::all_of(checks.begin(), checks.end(),
                     [](const ConformanceCheck& check) { return check.broken == 0; });
}

}  // namespace elastikv
