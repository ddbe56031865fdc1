#include "report/explanation.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"

namespace elastikv {
namespace {

/// Row `row` of an int64 [G, n] tensor up to its padding.
std::vector<int64_t> row_of(const at::Tensor& tensor, int64_t row) {
  const at::Tensor line = tensor[row].contiguous();
  const auto* data = line.const_data_ptr<int64_t>();
  std::vector<int64_t> values(data, data + line.numel());
  values.erase(std::find(values.begin(), values.end(), -1), values.end());
  return values;
}

std::vector<float> weights_of(const at::Tensor& tensor, int64_t row, size_t count) {
  if (!tensor.defined()) return std::vector<float>(count, 1.0F);
  const at::Tensor line = tensor[row].contiguous();
  return {line.const_data_ptr<float>(), line.const_data_ptr<float>() + count};
}

HeadDecision decision_of(const LayerPlan& plan, int64_t group, int64_t prompt_tokens) {
  HeadDecision decision;
  if (plan.keeps_everything()) {
    for (int64_t token = 0; token < prompt_tokens; ++token) decision.kept.push_back(token);
    return decision;
  }
  decision.kept = row_of(plan.kept, group);
  if (!plan.source.defined()) return decision;
  const std::vector<int64_t> sources = row_of(plan.source, group);
  const std::vector<int64_t> anchors = row_of(plan.anchor.narrow(1, 0, plan.source.size(1)), group);
  ELASTIKV_ASSERT(anchors.size() >= sources.size(), "{} anchors of {} merged entries",
                  anchors.size(), sources.size());
  const std::vector<float> source_weight = weights_of(plan.source_weight, group, sources.size());
  const std::vector<float> anchor_weight =
      weights_of(plan.anchor_weight, group, decision.kept.size());
  std::map<int64_t, MergedGroup> groups;  // by index into kept
  for (size_t i = 0; i < sources.size(); ++i) {
    MergedGroup& merged = groups[anchors[i]];
    merged.anchor = decision.kept[static_cast<size_t>(anchors[i])];
    merged.anchor_weight = anchor_weight[static_cast<size_t>(anchors[i])];
    merged.sources.push_back(sources[i]);
    merged.source_weight.push_back(source_weight[i]);
  }
  for (auto& [index, merged] : groups) decision.groups.push_back(std::move(merged));
  return decision;
}

/// Column sums of the query heads that share a KV head: all of them, and of the kept positions.
struct Mass {
  double all = 0;
  double kept = 0;
};

Mass mass_of(const at::Tensor& column_sums, int64_t kv_heads, int64_t head,
             const std::vector<int64_t>& kept) {
  const at::Tensor sums = column_sums.to(at::kDouble).contiguous();
  const int64_t tokens = sums.size(1);
  const int64_t sharing = sums.size(0) / kv_heads;
  const auto* data = sums.const_data_ptr<double>() + head * sharing * tokens;
  const std::set<int64_t> unique(kept.begin(), kept.end());
  Mass mass;
  for (int64_t query = 0; query < sharing; ++query) {
    for (int64_t token = 0; token < tokens; ++token) mass.all += data[query * tokens + token];
    for (const int64_t token : unique) mass.kept += data[query * tokens + token];
  }
  return mass;
}

double lost(const Mass& mass) { return std::max(0.0, 1 - mass.kept / mass.all); }

}  // namespace

Explanation explain(const std::string& name, const Strategy& strategy,
                    const PromptStatistics& prompt, const Budget& budget,
                    const std::vector<int64_t>& layers) {
  const std::vector<LayerPlan> plans = strategy.compress(prompt, budget);
  const std::vector<at::Tensor> importance = strategy.importance(prompt);
  ELASTIKV_ASSERT(plans.size() == prompt.layers.size(), "{} plans for {} layers", plans.size(),
                  prompt.layers.size());
  Explanation explanation;
  explanation.name = name;
  explanation.description = strategy.description();
  explanation.requested = budget.slots(prompt.prompt_tokens, prompt.prompt_tokens);
  for (const int64_t number : layers) {
    const auto index = static_cast<size_t>(number);
    const LayerPlan& plan = plans[index];
    LayerDecision layer;
    layer.layer = number;
    layer.shared = plan.keeps_everything() || plan.kept.size(0) == 1;
    if (!importance.empty()) layer.importance = importance[index];
    Mass all;
    for (int64_t head = 0; head < prompt.kv_heads; ++head) {
      HeadDecision decision = decision_of(plan, layer.shared ? 0 : head, prompt.prompt_tokens);
      const Mass mass =
          mass_of(prompt.layers[index].column_sums, prompt.kv_heads, head, decision.kept);
      decision.attention_lost = lost(mass);
      all.all += mass.all;
      all.kept += mass.kept;
      explanation.tokens += static_cast<int64_t>(decision.kept.size());
      layer.heads.push_back(std::move(decision));
    }
    layer.attention_lost = lost(all);
    explanation.attention_lost += layer.attention_lost / static_cast<double>(layers.size());
    explanation.layers.push_back(std::move(layer));
  }
  return explanation;
}

std::vector<std::vector<double>> kept_agreement(const std::vector<Explanation>& explanations,
                                                size_t index) {
  std::vector<std::set<std::pair<size_t, int64_t>>> sets;
  for (const Explanation& explanation : explanations) {
    auto& kept = sets.emplace_back();
    const LayerDecision& layer = explanation.layers[index];
    for (size_t head = 0; head < layer.heads.size(); ++head) {
      for (const int64_t position : layer.heads[head].kept) kept.emplace(head, position);
    }
  }
  std::vector<std::vector<double>> matrix(sets.size(), std::vector<double>(sets.size(), 1.0));
  for (size_t a = 0; a < sets.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      const auto common = std::count_if(sets[a].begin(), sets[a].end(),
                                        [&](const auto& entry) { return sets[b].contains(entry); });
      const auto either =
          static_cast<double>(sets[a].size() + sets[b].size()) - static_cast<double>(common);
      matrix[a][b] = matrix[b][a] = static_cast<double>(common) / either;
    }
  }
  return matrix;
}

std::vector<std::vector<double>> kept_agreement(const std::vector<Explanation>& explanations) {
  const size_t count = explanations.size();
  const size_t layers = explanations.front().layers.size();
  std::vector<std::vector<double>> mean(count, std::vector<double>(count, 0.0));
  for (size_t layer = 0; layer < layers; ++layer) {
    const auto matrix = kept_agreement(explanations, layer);
    for (size_t a = 0; a < count; ++a) {
      for (size_t b = 0; b < count; ++b) mean[a][b] += matrix[a][b] / static_cast<double>(layers);
    }
  }
  return mean;
}

}  // namespace elastikv
