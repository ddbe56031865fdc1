#include "sweep/exclusions.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/fields.h"
#include "base/nearest_name.h"
#include "sweep/config.h"
#include "sweep/config_fields.h"
#include "sweep/plan.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

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

std::vector<Exclusion> read_exclusions(const YamlFields& node, const SweepConfig& config) {
  std::vector<Exclusion> exclusions;
  // An empty list is a choice: --set matrix.exclude=[] brings back what a file leaves out.
  for (const YamlFields& fields : node.is_list() ? node.items() : std::vector<YamlFields>{node}) {
    fields.require_known_keys({"model", "data", "strategy", "budget"});
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

nlohmann::ordered_json exclusions_json(const std::vector<Exclusion>& exclusions) {
  Json list = Json::array();
  for (const Exclusion& exclusion : exclusions) {
    Json json = Json::object();
    if (!exclusion.model.empty()) json["model"] = exclusion.model;
    if (!exclusion.data.empty()) json["data"] = exclusion.data;
    if (!exclusion.strategy.empty()) json["strategy"] = exclusion.strategy;
    if (!exclusion.budget.empty()) json["budget"] = exclusion.budget;
    list.push_back(std::move(json));
  }
  return list;
}

}  // namespace elastikv
