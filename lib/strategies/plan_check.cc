#include "strategies/plan_check.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kernels/finite.h"
#include "strategies/compaction.h"

namespace elastikv {
namespace {

std::string shape_text(const at::Tensor& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.sizes(), ", "));
}

/// A tensor of a plan: [rows, any], dense, of a type, on the CPU.
std::string problem_of_tensor(const char* name, const at::Tensor& tensor, c10::ScalarType type,
                              int64_t rows) {
  if (tensor.dim() != 2 || tensor.size(0) != rows)
    return fmt::format("has {} of shape {}, [{}, ...] is needed", name, shape_text(tensor), rows);
  if (tensor.scalar_type() != type)
    return fmt::format("has {} of type {}, {} is needed", name, c10::toString(tensor.scalar_type()),
                       c10::toString(type));
  if (!tensor.is_cpu() || !tensor.is_contiguous())
    return fmt::format("has {} that are not contiguous on the CPU", name);
  return "";
}

/// Weights: as problem_of_tensor, of a width, finite; undefined ones are no problem.
std::string problem_of_weights(const char* name, const at::Tensor& tensor, int64_t rows,
                               int64_t width) {
  if (!tensor.defined()) return "";
  std::string problem = problem_of_tensor(name, tensor, at::kFloat, rows);
  if (!problem.empty()) return problem;
  if (tensor.size(1) != width)
    return fmt::format("has {} of shape {}, [{}, {}] is needed", name, shape_text(tensor), rows,
                       width);
  return all_finite(tensor) ? "" : fmt::format("has {} that are not finite", name);
}

/// What merges into what in one group.
std::string problem_of_merges(const std::vector<int64_t>& sources,
                              const std::vector<int64_t>& anchors, int64_t kept, int64_t tokens) {
  if (sources.size() != anchors.size())
    return fmt::format("merges {} sources into {} anchors", sources.size(), anchors.size());
  for (size_t i = 0; i < sources.size(); ++i) {
    if (sources[i] >= tokens) return fmt::format("merges slot {} of {}", sources[i], tokens);
    if (anchors[i] >= kept) return fmt::format("merges into kept entry {} of {}", anchors[i], kept);
  }
  return "";
}

/// The merges and weights of a plan whose kept slots are right.
std::string problem_of_rest(const LayerPlan& plan, const KeptSlots& kept, int64_t tokens) {
  const int64_t rows = plan.kept.size(0);
  std::string problem =
      problem_of_weights("anchor_weight", plan.anchor_weight, rows, plan.kept.size(1));
  if (problem.empty())
    problem = problem_of_weights("logit_bias", plan.logit_bias, rows, plan.kept.size(1));
  if (!problem.empty()) return problem;
  if (plan.source.defined() != plan.anchor.defined()) return "has sources without anchors";
  if (!plan.source.defined()) return "";
  problem = problem_of_tensor("source", plan.source, at::kLong, rows);
  if (problem.empty()) problem = problem_of_tensor("anchor", plan.anchor, at::kLong, rows);
  if (problem.empty())
    problem = problem_of_weights("source_weight", plan.source_weight, rows, plan.source.size(1));
  if (!problem.empty()) return problem;
  const auto sources = unpadded_rows(plan.source);
  const auto anchors = unpadded_rows(plan.anchor);
  for (size_t g = 0; g < sources.size() && problem.empty(); ++g)
    problem = problem_of_merges(sources[g], anchors[g], std::ssize(kept[g]), tokens);
  return problem;
}

/// A plan within a cache, whose groups may be of different lengths.
std::string problem_in_cache(const LayerPlan& plan, const KVCache& cache, int64_t layer) {
  const int64_t groups = cache.groups(layer);
  int64_t shortest = cache.length(layer);
  for (int64_t g = 1; g < groups; ++g) shortest = std::min(shortest, cache.length(layer, g));
  if (plan.kept.dim() == 2 && plan.kept.size(0) > 1 && groups == plan.kept.size(0))
    shortest = cache.max_length(layer);  // each row is of its own group: looked at below
  std::string problem = problem_of(plan, shortest);
  if (!problem.empty() || plan.kept.size(0) == 1) return problem;
  const auto kept = unpadded_rows(plan.kept);
  for (size_t g = 0; g < kept.size() && static_cast<int64_t>(kept.size()) == groups; ++g) {
    const int64_t length = cache.length(layer, static_cast<int64_t>(g));
    for (const int64_t slot : kept[g]) {
      if (slot >= length) return fmt::format("keeps slot {} of {}", slot, length);
    }
  }
  return "";
}

}  // namespace

std::string problem_of_kept(const KeptSlots& kept, int64_t tokens) {
  for (const std::vector<int64_t>& row : kept) {
    if (row.empty()) return "keeps nothing";
    for (size_t i = 0; i < row.size(); ++i) {
      if (row[i] < 0 || row[i] >= tokens) return fmt::format("keeps slot {} of {}", row[i], tokens);
      if (i == 0 || row[i - 1] < row[i]) continue;
      return row[i - 1] == row[i]
                 ? fmt::format("keeps slot {} twice", row[i])
                 : fmt::format("keeps slot {} before {}: not ascending", row[i - 1], row[i]);
    }
  }
  return "";
}

std::optional<int64_t> dropped_protected(const std::vector<int64_t>& kept, Protected protect,
                                         int64_t tokens) {
  const int64_t slots = std::ssize(kept);
  for (int64_t i = 0; i < protect.sinks; ++i) {
    if (kept[static_cast<size_t>(i)] != i) return i;
  }
  for (int64_t i = 1; i <= protect.recent; ++i) {
    if (kept[static_cast<size_t>(slots - i)] != tokens - i) return tokens - i;
  }
  return std::nullopt;
}

std::string problem_of(const LayerPlan& plan, int64_t tokens) {
  if (!plan.kept.defined()) return "keeps nothing that it names";
  const int64_t rows = plan.kept.dim() == 2 ? plan.kept.size(0) : 1;
  std::string problem = problem_of_tensor("kept slots", plan.kept, at::kLong, rows);
  if (!problem.empty()) return problem;
  const KeptSlots kept = unpadded_rows(plan.kept);
  problem = problem_of_kept(kept, tokens);
  return problem.empty() ? problem_of_rest(plan, kept, tokens) : problem;
}

std::string problem_of(const LayerPlan& plan, const KeptSlots& kept, int64_t tokens) {
  std::string problem = problem_of(plan, tokens);
  if (!problem.empty()) return problem;
  return unpadded_rows(plan.kept) == kept ? "" : "keeps other entries than were selected";
}

std::string problem_of(const StepPlan& plan, const KVCache& cache, int64_t layer) {
  const int64_t groups = cache.groups(layer);
  const int64_t heads = cache.shape().kv_heads;
  if (!plan.rebuild.keeps_everything()) {
    const int64_t rows = plan.rebuild.kept.dim() == 2 ? plan.rebuild.kept.size(0) : 0;
    if (rows != groups && rows != heads)
      return fmt::format("rebuilds {} groups of {}", rows, groups);
    return problem_in_cache(plan.rebuild, cache, layer);
  }
  const std::string joined =
      plan.join.keeps_everything() ? "" : problem_in_cache(plan.join, cache, layer);
  if (!joined.empty()) return "joins wrongly: it " + joined;
  const auto rows = static_cast<int64_t>(plan.evict.size());
  if (rows != 0 && rows != groups && rows != heads)
    return fmt::format("evicts from {} groups of {}", rows, groups);
  for (int64_t g = 0; g < rows; ++g) {
    const int64_t length = cache.length(layer, groups == 1 ? 0 : g);
    std::vector<int64_t> slots = plan.evict[static_cast<size_t>(g)];
    std::sort(slots.begin(), slots.end());
    if (static_cast<int64_t>(slots.size()) >= length) return "evicts all entries";
    for (size_t i = 0; i < slots.size(); ++i) {
      if (slots[i] < 0 || slots[i] >= length)
        return fmt::format("evicts slot {} of {}", slots[i], length);
      if (i > 0 && slots[i - 1] == slots[i]) return fmt::format("evicts slot {} twice", slots[i]);
    }
  }
  return "";
}

}  // namespace elastikv
