#include "sweep/plan.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "sweep/strategy_choice.h"

namespace elastikv {
namespace {

Cell make_cell(const CellGroup& group, const StrategyChoice& strategy, const BudgetChoice& budget) {
  Cell cell;
  cell.id = fmt::format("{}/{}/{}", group.model_name, group.data.name, strategy.label);
  if (!budget.everything()) cell.id.append("/").append(budget.text());
  cell.model = group.model_name;
  cell.data = group.data.name;
  cell.strategy = strategy;
  cell.budget = budget;
  return cell;
}

void plan_group(const SweepConfig& config, CellGroup& group) {
  std::vector<Cell> compressed;
  const auto add = [&](std::vector<Cell>& cells, Cell cell) {
    const bool excluded = std::any_of(
        config.exclude.begin(), config.exclude.end(),
        [&](const Exclusion& exclusion) { return exclusion.covers(group.model, cell); });
    if (!excluded) cells.push_back(std::move(cell));
  };
  for (const StrategyChoice& strategy : config.strategies) {
    if (strategy.preset == kFullCache) {
      add(group.cells, make_cell(group, strategy, BudgetChoice{}));
      continue;
    }
    for (const BudgetChoice& budget : config.budgets) {
      add(compressed, make_cell(group, strategy, budget));
    }
  }
  if (group.cells.empty() && compressed.empty()) return;
  if (group.cells.empty()) {
    StrategyChoice full;
    full.preset = kFullCache;
    // A name that no strategy of the sweep has: a listed "full" would have made the cell visible.
    full.label = full.name = "(full)";
    full.origin = "the sweep's reference";
    group.cells.push_back(make_cell(group, full, BudgetChoice{}));
    group.cells.back().hidden = true;
  }
  group.cells.insert(group.cells.end(), compressed.begin(), compressed.end());
}

}  // namespace

int64_t CellGroup::shown_cells() const {
  return std::count_if(cells.begin(), cells.end(), [](const Cell& cell) { return !cell.hidden; });
}

std::string model_name(const ModelChoice& model) {
  return fmt::format("{}-{}", model.label, model.dtype);
}

std::set<std::string> metrics_of_others(const SweepConfig& config, const DataOptions& data) {
  std::set<std::string> metrics;
  for (const DataOptions& set : config.data) metrics.insert(set.metrics.begin(), set.metrics.end());
  for (const std::string& own : data.metrics) metrics.erase(own);
  if (config.metrics.windows && !data.tokens) metrics.insert({kWordPerplexity, kBytePerplexity});
  return metrics;
}

std::vector<CellGroup> plan_cells(const SweepConfig& config) {
  std::vector<CellGroup> groups;
  for (const ModelChoice& model : config.models) {
    for (const DataOptions& data : config.data) {
      CellGroup group;
      group.model = model;
      group.model_name = model_name(model);
      group.data = data;
      group.metrics_of_others = metrics_of_others(config, data);
      plan_group(config, group);
      if (!group.cells.empty()) groups.push_back(std::move(group));
    }
  }
  return groups;
}

std::vector<CompressAt> moments_of(std::span<const Cell> cells) {
  std::vector<CompressAt> moments;
  for (const CompressAt at : kCompressMoments) {
    if (std::any_of(cells.begin(), cells.end(), [&](const Cell& cell) { return cell.at() == at; }))
      moments.push_back(at);
  }
  return moments;
}

GroupCost cost_of(const CellGroup& group, const DataSet& data,
                  std::span<const std::string> problems, const SweepConfig& config,
                  std::span<const std::string> contexts) {
  GroupCost cost;
  std::map<std::string_view, int64_t> samples_of;  // by context
  cost.samples = std::ssize(data.samples);
  const bool answers = config.evaluation().generate;
  int64_t usable = 0;
  for (size_t i = 0; i < data.samples.size(); ++i) {
    if (!problems.empty() && !problems[i].empty()) continue;
    ++usable;
    if (!contexts.empty() && !contexts[i].empty()) ++samples_of[contexts[i]];
    const Sample& sample = data.samples[i];
    if (answers && !group.data.by_likelihood()) {
      cost.decoded_tokens +=
          std::ssize(group.cells) * sample.max_new_tokens.value_or(config.max_new_tokens);
    }
    if (answers) {
      for (const ScoredOption& option : sample.scored_options)
        cost.answer_characters += std::ssize(option.text);
    }
    if (config.metrics.perplexity) cost.answer_characters += std::ssize(sample.answer);
  }
  cost.evaluations = usable * std::ssize(group.cells);
  cost.prefills = usable * std::ssize(moments_of(group.cells));
  for (const auto& [context, samples] : samples_of) {
    if (samples < 2) continue;
    ++cost.contexts;
    cost.asking += samples;
    cost.prefills -= samples - 1;
  }
  return cost;
}

std::string record_key(const CellIdentity& identity) {
  std::string all;
  for (const std::string* part :
       {&identity.engine.weights, &identity.engine.tokenizer, &identity.engine.image_processing,
        &identity.engine.prompt_format, &identity.engine.prompt_signature, &identity.data_item,
        &identity.strategy, &identity.budget, &identity.device, &identity.dtype,
        &identity.evaluation, &identity.batch, &identity.program, &identity.revisions}) {
    // Lengths keep neighbouring parts apart.
    all += fmt::format("{}:{}", part->size(), *part);
  }
  return content_hash(all);
}

std::string evaluation_text(const SweepConfig& config) {
  std::string text = fmt::format(
      "ppl={} last={} agreement={} new={} seed={} reference={} text=", config.metrics.perplexity,
      config.metrics.score_last_token, config.metrics.agreement, config.max_new_tokens, config.seed,
      static_cast<int>(config.metrics.reference));
  for (const std::string& name : config.metrics.text) text += name + ",";
  // The keys of earlier records stay what they are.
  return text + config.record_tags();
}

}  // namespace elastikv
