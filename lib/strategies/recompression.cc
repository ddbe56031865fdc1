#include "strategies/recompression.h"

#include <algorithm>
#include <utility>

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"
#include "strategies/eviction_policy.h"
#include "strategies/finite.h"
#include "strategies/selection.h"

namespace elastikv {
namespace {

/// Rows [heads, n] lengthened with zeros to [heads, slots].
at::Tensor lengthened(const at::Tensor& rows, int64_t slots) {
  const int64_t missing = slots - rows.size(1);
  if (missing == 0) return rows;
  return at::cat({rows, at::zeros({rows.size(0), missing}, rows.options())}, 1);
}

/// Rows of the last dimension's entries `slots`, [heads, slots].
at::Tensor gathered(const at::Tensor& rows, const at::Tensor& slots) {
  return rows.index_select(1, slots);
}

/// Plans of one group each as one plan, padded to the longest.
LayerPlan stacked(const std::vector<LayerPlan>& plans) {
  const auto stack = [&](at::Tensor LayerPlan::*field, double padding) {
    int64_t longest = 0;
    at::TensorOptions options;
    bool any = false;
    for (const LayerPlan& plan : plans) {
      if (!(plan.*field).defined()) continue;
      any = true;
      longest = std::max(longest, (plan.*field).size(1));
      options = (plan.*field).options();
    }
    if (!any) return at::Tensor();
    std::vector<at::Tensor> rows;
    rows.reserve(plans.size());
    for (const LayerPlan& plan : plans) {
      at::Tensor row = at::full({longest}, padding, options);
      if ((plan.*field).defined()) row.narrow(0, 0, (plan.*field).size(1)).copy_((plan.*field)[0]);
      rows.push_back(std::move(row));
    }
    return at::stack(rows);
  };
  LayerPlan all = plans.front();
  for (const LayerPlan& plan : plans) {
    if (plan.source.defined()) all = plan;  // the options of a plan that merges
  }
  all.kept = stack(&LayerPlan::kept, -1);
  all.source = stack(&LayerPlan::source, -1);
  all.anchor = stack(&LayerPlan::anchor, -1);
  all.source_weight = stack(&LayerPlan::source_weight, 1);
  all.anchor_weight = stack(&LayerPlan::anchor_weight, 1);
  all.logit_bias = stack(&LayerPlan::logit_bias, 0);
  return all;
}

/// A plan over ranks as one over slots.
LayerPlan in_slots(LayerPlan plan, const std::vector<int64_t>& slots) {
  const at::Tensor slot_of = at::tensor(slots, at::kLong);
  const auto translated = [&](const at::Tensor& ranks) {
    if (!ranks.defined()) return ranks;
    const at::Tensor found = slot_of.index_select(0, ranks.clamp_min(0).flatten()).view_as(ranks);
    return found.masked_fill(ranks.lt(0), -1);
  };
  plan.kept = translated(plan.kept);
  plan.source = translated(plan.source);
  return plan;
}

}  // namespace

Recompression::Recompression(GenerationStart start, int64_t every)
    : start_(std::move(start)),
      every_(every),
      needs_(start_.importance->needs() | start_.selection->needs() | start_.compaction->needs()),
      memories_(start_.prompt.layers.size()) {
  for (size_t layer = 0; layer < memories_.size(); ++layer) {
    if (!needs_.prefill.column_sums) break;
    memories_[layer].sums = start_.prompt.layers[layer].column_sums;
    follow(memories_[layer], start_.plans[layer]);
  }
}

std::vector<StepPlan> Recompression::step(const DecodeStep& step) {
  ELASTIKV_ASSERT(step.cache != nullptr && step.rows.size() == memories_.size(),
                  "{} attention rows for {} layers", step.rows.size(), memories_.size());
  remember(step);
  if ((step.tokens_seen - start_.prompt.prompt_tokens) % every_ != 0) return {};
  std::vector<StepPlan> plans(memories_.size());
  for (size_t layer = 0; layer < memories_.size(); ++layer) {
    plans[layer].rebuild = compress(*step.cache, static_cast<int64_t>(layer), step.tokens_seen);
    follow(memories_[layer], plans[layer].rebuild);
  }
  return plans;
}

std::unique_ptr<GenerationPolicy> Recompression::go_on(const Budget& budget) const {
  auto copy = std::make_unique<Recompression>(*this);
  copy->start_.budget = budget;
  return copy;
}

void Recompression::remember(const DecodeStep& step) {
  const auto wanted = static_cast<size_t>(needs_.prefill.last_rows);
  for (size_t layer = 0; layer < memories_.size(); ++layer) {
    Memory& memory = memories_[layer];
    const at::Tensor& row = step.rows[layer];
    if (memory.sums.defined()) memory.sums = lengthened(memory.sums, row.size(1)).add(row);
    if (wanted == 0) continue;
    if (memory.rows.size() == wanted) memory.rows.erase(memory.rows.begin());
    memory.rows.push_back(row);
  }
}

void Recompression::follow(Memory& memory, const LayerPlan& plan) const {
  if (plan.keeps_everything()) return;
  const int64_t groups = plan.kept.size(0);
  const at::Tensor slots = plan.kept.clamp_min(0);
  const at::Tensor padding = plan.kept.lt(0);
  const auto moved = [&](const at::Tensor& rows) {
    const int64_t heads = rows.size(0) / groups;
    // Rows that were taken earlier know fewer slots: what came later got nothing from them.
    const at::Tensor known =
        lengthened(rows, std::max(rows.size(1), slots.max().item<int64_t>() + 1));
    std::vector<at::Tensor> parts;
    for (int64_t g = 0; g < groups; ++g) {
      parts.push_back(
          gathered(known.narrow(0, g * heads, heads), slots[g]).masked_fill(padding[g], 0.0));
    }
    return at::cat(parts, 0);
  };
  if (memory.sums.defined()) memory.sums = moved(memory.sums);
  for (at::Tensor& row : memory.rows) row = moved(row);
}

LayerPlan Recompression::compress(const KVCache& cache, int64_t layer, int64_t tokens_seen) const {
  const int64_t groups = cache.groups(layer);
  std::vector<LayerPlan> plans;
  bool anything = false;
  for (int64_t group = 0; group < groups; ++group) {
    const std::vector<int64_t> slots = slots_by_position(cache.positions(layer, group));
    const auto tokens = static_cast<int64_t>(slots.size());
    const int64_t budget = start_.slots(layer, group, tokens_seen);
    LayerPlan& plan = plans.emplace_back();
    plan.kept = at::tensor(slots, at::kLong).unsqueeze(0);
    if (tokens <= budget) continue;
    const PromptStatistics prompt = statistics(cache, layer, group, slots);
    const at::Tensor scores = start_.importance->scores(prompt).front();
    require_finite_scores({scores}, layer);
    const KeptSlots kept = start_.selection->select({.scores = scores,
                                                     .tokens = tokens,
                                                     .slots = {budget},
                                                     .budget = start_.budget,
                                                     .image_begin = prompt.image_begin,
                                                     .image_end = prompt.image_end,
                                                     .layer = &prompt.layers.front()});
    std::vector<Protected> protect;
    for (const auto& row : kept) {
      protect.push_back(start_.selection->protect(static_cast<int64_t>(row.size())));
    }
    plan = in_slots(start_.compaction->plan({.kept = kept,
                                             .protect = protect,
                                             .tokens = tokens,
                                             .scores = scores,
                                             .layer = prompt.layers.front(),
                                             .layer_index = layer,
                                             .seed = prompt.seed}),
                    slots);
    anything = true;
  }
  if (!anything) return {};
  return groups == 1 ? plans.front() : stacked(plans);
}

PromptStatistics Recompression::statistics(const KVCache& cache, int64_t layer, int64_t group,
                                           const std::vector<int64_t>& slots) const {
  const PromptStatistics& prompt = start_.prompt;
  const int64_t groups = cache.groups(layer);
  const Memory& memory = memories_[static_cast<size_t>(layer)];
  const auto tokens = static_cast<int64_t>(slots.size());
  const at::Tensor order = at::tensor(slots, at::kLong);
  PromptStatistics here;
  here.prompt_tokens = tokens;
  here.position_delta = prompt.position_delta;
  here.query_heads = prompt.query_heads / groups;
  here.kv_heads = prompt.kv_heads / groups;
  here.rotary_frequencies = prompt.rotary_frequencies;
  // Draws differ between steps, layers and heads.
  here.seed = prompt.seed + static_cast<uint64_t>(cache.positions(layer, group).back() * groups +
                                                  group + layer * 1'000'003);
  const auto rank_of = [&](int64_t position) {
    return std::count_if(slots.begin(), slots.end(), [&](int64_t slot) {
      return cache.positions(layer, group)[static_cast<size_t>(slot)] < position;
    });
  };
  here.image_begin = rank_of(prompt.image_begin);
  here.image_end = rank_of(prompt.image_end);
  LayerStatistics& statistics = here.layers.emplace_back();
  const auto own = [&](const at::Tensor& rows) {
    const at::Tensor heads = rows.narrow(0, group * here.query_heads, here.query_heads);
    return gathered(lengthened(heads, std::max(heads.size(1), order.max().item<int64_t>() + 1)),
                    order);
  };
  if (memory.sums.defined()) statistics.column_sums = own(memory.sums);
  if (!memory.rows.empty()) {
    std::vector<at::Tensor> rows;
    rows.reserve(memory.rows.size());
    for (const at::Tensor& row : memory.rows) rows.push_back(own(row));
    statistics.last_rows = at::stack(rows, 1);
  }
  const auto entries = [&](at::Tensor (KVCache::*of_head)(int64_t, int64_t) const) {
    std::vector<at::Tensor> heads;
    for (int64_t head = group * here.kv_heads; head < (group + 1) * here.kv_heads; ++head) {
      const at::Tensor x = (cache.*of_head)(layer, head);
      heads.push_back(x.index_select(0, order.to(x.device())).to(at::kCPU, at::kFloat));
    }
    return at::stack(heads);
  };
  if (needs_.keys) statistics.keys = entries(&KVCache::head_keys);
  if (needs_.values) statistics.values = entries(&KVCache::head_values);
  return here;
}

}  // namespace elastikv
