#include "sweep/exclusions.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/fields.h"
#include "base/keys.h"
#include "base/nearest_name.h"
#include "base/yaml_values.h"
#include "sweep/config.h"
#include "sweep/plan.h"

namespace elastikv {
namespace {

bool fits(const std::vector<std::string>& patterns, std::string_view text) {
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(),
                                         [&](const auto& p) { return matches_pattern(p, text); });
}

/// The names that a part of an exclusion may give.
std::vector<std::string> names_of(const std::string& part, const SweepConfig& config) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  if (part == "model") {
    for (const ModelChoice& model : config.models) {
      add(model.label);
      add(model_name(model));
    }
  } else if (part == "data") {
    for (const DataOptions& data : config.data) add(data.name);
  } else if (part == "strategy") {
    for (const StrategyChoice& strategy : config.strategies) add(strategy.label);
  } else {
    for (const CellGroup& group : plan_cells(config)) {
      for (const Cell& cell : group.cells) add(cell.budget.text());
    }
  }
  return names;
}

std::vector<std::string> read_part(const YamlFields& fields, const std::string& part,
                                   const SweepConfig& config) {
  std::vector<std::string> patterns;
  if (!fields.has(part)) return patterns;
  const std::vector<std::string> names = names_of(part, config);
  for (const YamlFields& node : one_or_list(fields.at(part))) {
    std::string pattern = node.as_string();
    double number = 0;
    // 0.20 and .2 are the budget that is named 0.2.
    if (part == "budget" && parse_double(pattern, number)) pattern = fmt::format("{}", number);
    bool known = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return matches_pattern(pattern, name);
    });
    if (known) {
      patterns.push_back(pattern);
      continue;
    }
    if (part == "strategy") {
      for (const StrategyChoice& strategy : config.strategies) {
        if (strategy.name != pattern) continue;
        patterns.push_back(strategy.label);
        known = true;
      }
    }
    if (!known) {
      node.fail_here(fmt::format("names no {} of this sweep: '{}'{}",
                                 part == "data" ? "data set" : part, pattern,
                                 suggestion(pattern, names)));
    }
  }
  return patterns;
}

}  // namespace

bool Exclusion::covers(const ModelChoice& choice, const Cell& cell) const {
  return (fits(model, choice.label) || fits(model, cell.model)) && fits(data, cell.data) &&
         fits(strategy, cell.strategy.label) && fits(budget, cell.budget.text());
}

bool matches_pattern(std::string_view pattern, std::string_view text) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (text.substr(0, star) != pattern.substr(0, star)) return false;
  const std::string_view rest = pattern.substr(star + 1);
  for (size_t begin = star; begin <= text.size(); ++begin) {
    if (matches_pattern(rest, text.substr(begin))) return true;
  }
  return false;
}

const Keys<Exclusion>& exclusion_keys() {
  // Which names there are is known only with the whole sweep: read_exclusions reads them.
  static const Keys<Exclusion> keys([](Keys<Exclusion>& keys) {
    const auto add = [&keys](const char* name, std::vector<std::string> Exclusion::*part,
                             const char* help) {
      keys.add(name, part, text_list_form(), help, {.written = Written::kWhereSet});
    };
    add("model", &Exclusion::model, "Labels, with the dtype or without, or patterns with `*`.");
    add("data", &Exclusion::data, "Names of data sets, or patterns.");
    add("strategy", &Exclusion::strategy, "Names of strategies, or patterns.");
    add("budget", &Exclusion::budget,
        "Budgets as cells are named, or patterns; `1` is the full cache.");
  });
  return keys;
}

std::vector<Exclusion> read_exclusions(const YamlFields& node, const SweepConfig& config) {
  std::vector<Exclusion> exclusions;
  // An empty list is a choice: --set matrix.exclude=[] brings back what a file leaves out.
  for (const YamlFields& fields : any_or_none(node)) {
    exclusion_keys().check(fields);
    Exclusion exclusion;
    exclusion.model = read_part(fields, "model", config);
    exclusion.data = read_part(fields, "data", config);
    exclusion.strategy = read_part(fields, "strategy", config);
    exclusion.budget = read_part(fields, "budget", config);
    if (fields.keys().empty()) fields.fail_here("needs a model, data, strategy or budget");
    bool covers_some = false;
    for (const CellGroup& group : plan_cells(config)) {
      for (const Cell& cell : group.cells)
        covers_some = covers_some || (!cell.hidden && exclusion.covers(group.model, cell));
    }
    if (!covers_some)
      fields.fail_here("fits no cell: no model, data set and strategy has all that");
    exclusions.push_back(std::move(exclusion));
  }
  SweepConfig rest = config;
  rest.exclude = exclusions;
  if (plan_cells(rest).empty()) node.fail_here("leaves no cell of the sweep");
  return exclusions;
}

}  // namespace elastikv
