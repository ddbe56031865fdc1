#include "strategies/compaction.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>

namespace elastikv {
namespace {

void sort_by_anchor(Merges& merges) {
  std::vector<size_t> order(merges.source.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return merges.anchor[a] < merges.anchor[b]; });
  Merges sorted;
  sorted.source.reserve(order.size());
  sorted.anchor.reserve(order.size());
  sorted.weight.reserve(order.size());
  for (const size_t i : order) {
    sorted.source.push_back(merges.source[i]);
    sorted.anchor.push_back(merges.anchor[i]);
    if (!merges.weight.empty()) sorted.weight.push_back(merges.weight[i]);
  }
  merges = std::move(sorted);
}

}  // namespace

at::Tensor padded_rows(const std::vector<std::vector<int64_t>>& rows) {
  size_t longest = 0;
  for (const auto& row : rows) longest = std::max(longest, row.size());
  const auto groups = static_cast<int64_t>(rows.size());
  at::Tensor padded = at::full({groups, static_cast<int64_t>(longest)}, -1, at::kLong);
  int64_t* out = padded.data_ptr<int64_t>();
  for (const auto& row : rows) {
    std::copy(row.begin(), row.end(), out);
    out += longest;
  }
  return padded;
}

std::vector<std::vector<int64_t>> unpadded_rows(const at::Tensor& padded) {
  std::vector<std::vector<int64_t>> rows;
  const int64_t* row = padded.const_data_ptr<int64_t>();
  for (int64_t g = 0; g < padded.size(0); ++g, row += padded.size(1)) {
    rows.emplace_back(row, std::find(row, row + padded.size(1), -1));
  }
  return rows;
}

LayerPlan merge_plan(const KeptSlots& kept, std::vector<Merges>& merges, LayerPlan options) {
  LayerPlan plan = std::move(options);
  plan.kept = padded_rows(kept);
  std::vector<std::vector<int64_t>> sources;
  std::vector<std::vector<int64_t>> anchors;
  for (Merges& group : merges) {
    sort_by_anchor(group);
    sources.push_back(group.source);
    anchors.push_back(group.anchor);
  }
  at::Tensor source = padded_rows(sources);
  if (source.size(1) == 0) return plan;
  plan.source = std::move(source);
  plan.anchor = padded_rows(anchors);
  plan.source_weight = at::ones(plan.source.sizes(), at::kFloat);
  float* weight = plan.source_weight.data_ptr<float>();
  for (const Merges& group : merges) {
    std::copy(group.weight.begin(), group.weight.end(), weight);
    weight += plan.source.size(1);
  }
  return plan;
}

std::vector<int64_t> dropped_slots(const std::vector<int64_t>& kept, int64_t tokens) {
  std::vector<int64_t> dropped;
  dropped.reserve(static_cast<size_t>(tokens) - kept.size());
  auto next = kept.begin();
  for (int64_t slot = 0; slot < tokens; ++slot) {
    if (next != kept.end() && *next == slot) {
      ++next;
    } else {
      dropped.push_back(slot);
    }
  }
  return dropped;
}

AnchorRange anchor_range(const std::vector<int64_t>& kept, int64_t tokens, Protected protect,
                         bool all) {
  if (all) return {.first = 0, .last = static_cast<int64_t>(kept.size())};
  const auto first = std::lower_bound(kept.begin(), kept.end(), protect.sinks);
  const auto last = std::lower_bound(first, kept.end(), tokens - protect.recent);
  return {.first = first - kept.begin(), .last = last - kept.begin()};
}

}  // namespace elastikv
