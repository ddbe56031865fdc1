#include "strategies/eviction_policy.h"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <utility>

#include <ATen/ops/ones.h>

#include "base/error.h"
#include "strategies/compaction.h"

namespace elastikv {

std::vector<int64_t> slots_by_position(const std::vector<int64_t>& positions) {
  std::vector<int64_t> slots(positions.size());
  std::iota(slots.begin(), slots.end(), 0);
  std::stable_sort(slots.begin(), slots.end(), [&positions](int64_t a, int64_t b) {
    return positions[static_cast<size_t>(a)] < positions[static_cast<size_t>(b)];
  });
  return slots;
}

void SlotOrder::follow(const std::vector<int64_t>& positions, int64_t layout) {
  const size_t size = positions.size();
  if (layout == layout_ && size == slots_.size() + 1 &&
      (slots_.empty() || positions.back() > positions_.back())) {
    slots_.push_back(static_cast<int64_t>(size) - 1);
    positions_.push_back(positions.back());
    return;
  }
  layout_ = layout;
  slots_ = slots_by_position(positions);
  positions_.clear();
  positions_.reserve(size);
  for (const int64_t slot : slots_) positions_.push_back(positions[static_cast<size_t>(slot)]);
}

void SlotOrder::evict(const std::vector<int64_t>& ranks) {
  std::vector<int64_t> holes;
  holes.reserve(ranks.size());
  for (auto rank = ranks.rbegin(); rank != ranks.rend(); ++rank) {
    holes.push_back(slots_[static_cast<size_t>(*rank)]);
    slots_.erase(slots_.begin() + *rank);
    positions_.erase(positions_.begin() + *rank);
  }
  std::sort(holes.begin(), holes.end(), std::greater<>());
  auto last = static_cast<int64_t>(slots_.size() + holes.size()) - 1;
  for (const int64_t hole : holes) {
    // The last slot is mostly that of the newest token.
    if (hole != last) *std::find(slots_.rbegin(), slots_.rend(), last) = hole;
    --last;
  }
}

namespace {

/// What a policy chose, ascending. It may be a plugin's, so it is looked at before it indexes.
std::vector<int64_t> ascending(std::vector<int64_t> ranks, int64_t count, size_t entries) {
  std::sort(ranks.begin(), ranks.end());
  ELASTIKV_ASSERT(std::ssize(ranks) == count, "a policy evicts {} entries, {} are over the budget",
                  ranks.size(), count);
  ELASTIKV_ASSERT(ranks.front() >= 0 && static_cast<size_t>(ranks.back()) < entries &&
                      std::adjacent_find(ranks.begin(), ranks.end()) == ranks.end(),
                  "a policy evicts ranks {} to {} of {} entries, or one twice", ranks.front(),
                  ranks.back(), entries);
  return ranks;
}

}  // namespace

EvictionPolicy::EvictionPolicy(GenerationStart start)
    : start_(std::move(start)), orders_(start_.prompt.layers.size()) {
  if (start_.compaction != nullptr) compaction_ = start_.compaction->begin(start_);
}

EvictionPolicy::EvictionPolicy(const EvictionPolicy& other)
    : GenerationPolicy(other),
      start_(other.start_),
      orders_(start_.prompt.layers.size()),
      compaction_(other.compaction_ == nullptr ? nullptr : other.compaction_->copy()) {
  ELASTIKV_ASSERT(!other.chosen_.has_value(), "a policy copied between ask and step");
}

std::vector<float> EvictionPolicy::scores(const Choice& /*choice*/) const { return {}; }

std::vector<std::vector<EvictionPolicy::Evicted>> EvictionPolicy::choose_all(
    const DecodeStep& step) {
  ELASTIKV_ASSERT(step.cache != nullptr, "a decode step without a cache");
  observe(step);
  const KVCache& cache = *step.cache;
  std::vector<std::vector<Evicted>> all(orders_.size());
  for (int64_t layer = 0; layer < std::ssize(orders_); ++layer) {
    auto& orders = orders_[static_cast<size_t>(layer)];
    const int64_t separate = groups(cache, layer);
    orders.resize(static_cast<size_t>(separate));
    std::vector<Evicted>& evicted = all[static_cast<size_t>(layer)];
    evicted.reserve(orders.size());
    for (int64_t group = 0; group < separate; ++group) {
      SlotOrder& order = orders[static_cast<size_t>(group)];
      order.follow(cache.positions(layer, cache.groups(layer) == 1 ? 0 : group),
                   cache.layout(layer));
      Evicted& here = evicted.emplace_back(Evicted{order.slots()});
      const Choice choice = choice_of(layer, group, step.tokens_seen, order.positions());
      if (choice.count <= 0) continue;
      here.ranks = ascending(choose(choice), choice.count, order.positions().size());
      if (compaction_ == nullptr) continue;
      here.scores = scores(choice);
      here.protect = {start_.selection->protect(start_.kept(layer, group)).sinks,
                      start_.selection->protect(choice.budget).recent};
    }
  }
  return all;
}

std::vector<NearestQuestion> EvictionPolicy::ask(const DecodeStep& step) {
  chosen_ = choose_all(step);
  std::vector<NearestQuestion> questions;
  if (compaction_ == nullptr) return questions;
  for (size_t layer = 0; layer < chosen_->size(); ++layer) {
    std::vector<Evicted>& groups = (*chosen_)[layer];
    for (size_t g = 0; g < groups.size(); ++g) {
      if (groups[g].ranks.empty()) continue;
      std::optional<NearestQuestion> question =
          compaction_->ask(input_of(*step.cache, static_cast<int64_t>(layer), g, groups));
      if (!question.has_value()) continue;
      groups[g].question = questions.size();
      questions.push_back(std::move(*question));
    }
  }
  return questions;
}

std::vector<StepPlan> EvictionPolicy::step(const DecodeStep& step) {
  const std::vector<std::vector<Evicted>> all =
      chosen_.has_value() ? std::move(*chosen_) : choose_all(step);
  chosen_.reset();
  std::vector<StepPlan> plans(all.size());
  bool anything = false;
  for (size_t layer = 0; layer < all.size(); ++layer) {
    const std::vector<Evicted>& evicted = all[layer];
    if (std::all_of(evicted.begin(), evicted.end(),
                    [](const Evicted& here) { return here.ranks.empty(); }))
      continue;
    anything = true;
    StepPlan& plan = plans[layer];
    if (compaction_ != nullptr) plan.join = merged(step, static_cast<int64_t>(layer), evicted);
    for (size_t group = 0; group < evicted.size(); ++group) {
      const Evicted& here = evicted[group];
      auto& slots = plan.evict.emplace_back();
      slots.reserve(here.ranks.size());
      for (const int64_t rank : here.ranks) {
        slots.push_back(here.by_position[static_cast<size_t>(rank)]);
      }
      orders_[layer][group].evict(here.ranks);
    }
  }
  if (!anything) plans.clear();
  return plans;
}

EvictionPolicy::Choice EvictionPolicy::choice_of(int64_t layer, int64_t group, int64_t tokens_seen,
                                                 const std::vector<int64_t>& positions) const {
  const int64_t budget = start_.slots(layer, group, tokens_seen);
  return {.layer = layer,
          .group = group,
          .count = static_cast<int64_t>(positions.size()) - budget,
          .budget = budget,
          .tokens_seen = tokens_seen,
          .positions = positions};
}

std::vector<Lifetimes> EvictionPolicy::foresee(const KVCache& cache, int64_t tokens_seen,
                                               int64_t new_tokens) {
  if (compaction_ != nullptr || !reads_only_choices()) return {};
  std::vector<Lifetimes> layers(orders_.size());
  for (int64_t layer = 0; layer < static_cast<int64_t>(orders_.size()); ++layer) {
    for (int64_t group = 0; group < cache.groups(layer); ++group) {
      SlotOrder start;
      start.follow(cache.positions(layer, group), cache.layout(layer));
      std::vector<int64_t> positions = start.positions();
      std::vector<size_t> entries(positions.size());  // what stands at each rank
      std::iota(entries.begin(), entries.end(), size_t{0});
      auto& until = layers[static_cast<size_t>(layer)].until.emplace_back(
          entries.size() + static_cast<size_t>(new_tokens), Lifetimes::kForever);
      for (int64_t token = 0; token < new_tokens; ++token) {
        entries.push_back(until.size() - static_cast<size_t>(new_tokens - token));
        positions.push_back(tokens_seen + token);
        const Choice choice = choice_of(layer, group, tokens_seen + token + 1, positions);
        if (choice.count <= 0) continue;
        const std::vector<int64_t> ranks =
            ascending(choose(choice), choice.count, positions.size());
        for (auto rank = ranks.rbegin(); rank != ranks.rend(); ++rank) {
          until[entries[static_cast<size_t>(*rank)]] = token + 1;
          entries.erase(entries.begin() + *rank);
          positions.erase(positions.begin() + *rank);
        }
      }
    }
  }
  return layers;
}

StepCompactionInput EvictionPolicy::input_of(const KVCache& cache, int64_t layer, size_t group,
                                             const std::vector<Evicted>& groups) const {
  const Evicted& here = groups[group];
  return {.cache = cache,
          .layer = layer,
          .group = static_cast<int64_t>(group),
          .groups = std::ssize(groups),
          .by_position = here.by_position,
          .evicted = here.ranks,
          .protect = here.protect,
          .scores = here.scores};
}

LayerPlan EvictionPolicy::merged(const DecodeStep& step, int64_t layer,
                                 const std::vector<Evicted>& groups) {
  KeptSlots anchors(groups.size());
  std::vector<Merges> merges(groups.size());
  std::vector<std::vector<float>> anchor_weights(groups.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    const Evicted& here = groups[g];
    if (here.ranks.empty()) continue;
    StepCompactionInput input = input_of(*step.cache, layer, g, groups);
    if (here.question.has_value() && !step.answers.empty())
      input.nearest = &step.answers[*here.question];
    StepMerge step_merge = compaction_->merge(input);
    std::map<int64_t, int64_t> index;  // rank of an anchor -> index into anchors
    for (const int64_t rank : step_merge.anchor) index.emplace(rank, 0);
    for (auto& [rank, place] : index) {
      place = static_cast<int64_t>(anchors[g].size());
      anchors[g].push_back(here.by_position[static_cast<size_t>(rank)]);
    }
    anchor_weights[g].resize(anchors[g].size());
    for (size_t i = 0; i < step_merge.source.size(); ++i) {
      const int64_t anchor = index.at(step_merge.anchor[i]);
      merges[g].source.push_back(here.by_position[static_cast<size_t>(step_merge.source[i])]);
      merges[g].anchor.push_back(anchor);
      anchor_weights[g][static_cast<size_t>(anchor)] = step_merge.anchor_weight[i];
    }
    merges[g].weight = std::move(step_merge.source_weight);
  }
  LayerPlan plan = merge_plan(anchors, merges, start_.compaction->step_plan_options());
  if (!plan.source.defined()) return {};
  plan.anchor_weight = at::ones(plan.kept.sizes(), at::kFloat);
  float* weight = plan.anchor_weight.data_ptr<float>();
  for (const std::vector<float>& of_group : anchor_weights) {
    std::copy(of_group.begin(), of_group.end(), weight);
    weight += plan.kept.size(1);
  }
  return plan;
}

}  // namespace elastikv
