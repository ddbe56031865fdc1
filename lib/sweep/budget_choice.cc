#include "sweep/budget_choice.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/keys.h"
#include "base/yaml_values.h"
#include "sweep/ranges.h"

namespace elastikv {
namespace {

using Budgets = std::vector<BudgetChoice>;

ValueForm<Growth> growth_form() {
  return named_form<Growth>({Growth::kGeneration, Growth::kPrompt}, growth_name);
}

void add_once(OrderedJson& list, const OrderedJson& value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

/// The distinct values of budgets, in their order; null for none.
template <typename Value>
OrderedJson distinct(const Budgets& budgets, Value value_of) {
  OrderedJson list = OrderedJson::array();
  for (const BudgetChoice& budget : budgets) {
    const OrderedJson value = value_of(budget);
    if (!value.is_null()) add_once(list, value);
  }
  return list.empty() ? OrderedJson() : list;
}

OrderedJson keep_json(const Budgets& budgets) {
  return distinct(budgets, [](const BudgetChoice& budget) {
    return budget.keep_tokens ? OrderedJson() : OrderedJson(*budget.keep);
  });
}

OrderedJson keep_tokens_json(const Budgets& budgets) {
  return distinct(budgets, [](const BudgetChoice& budget) {
    return budget.keep_tokens ? OrderedJson(*budget.keep_tokens) : OrderedJson();
  });
}

OrderedJson growth_json(const Budgets& budgets) {
  return distinct(budgets, [](const BudgetChoice& budget) {
    return budget.keep_tokens ? OrderedJson() : growth_form().write(budget.growth);
  });
}

}  // namespace

std::string_view growth_name(Growth growth) {
  return growth == Growth::kGeneration ? "generation" : "prompt";
}

std::string BudgetChoice::text() const {
  if (keep_tokens) return fmt::format("{}t", *keep_tokens);
  if (!keep) return "1";
  return fmt::format("{}{}", *keep, growth == Growth::kPrompt ? "p" : "");
}

const Keys<Budgets>& budget_keys() {
  // What is a fraction of what is known only when both keys are: read_budgets reads them together.
  static const Keys<Budgets> keys([](Keys<Budgets>& keys) {
    keys.custom("keep", {.write = keep_json},
                or_list("fraction above 0 and at most 1", /*ranges=*/true),
                "What is kept of the cache.");
    keys.custom("keep_tokens", {.write = keep_tokens_json},
                or_list("integer from 1", /*ranges=*/true),
                "So many slots per layer, whatever the prompt's length.");
    keys.custom("growth", {.write = growth_json}, or_list(growth_form().takes, /*ranges=*/false),
                "What `keep` is a fraction of: all tokens seen so far, or the prompt alone.",
                {.otherwise = "`generation`"});
  });
  return keys;
}

std::vector<BudgetChoice> read_budgets(const YamlFields& fields) {
  budget_keys().check(fields);
  std::vector<Growth> growths;
  if (fields.has("growth")) {
    for (const YamlFields& node : one_or_list(fields.at("growth")))
      growths.push_back(growth_form().read(node));
  } else {
    growths.push_back(Growth::kGeneration);
  }
  std::vector<BudgetChoice> budgets;
  std::set<std::string> seen;
  const auto add = [&](const YamlFields& node, BudgetChoice budget) {
    if (!seen.insert(budget.text()).second) {
      node.fail_here(fmt::format("gives the budget {} twice", budget.text()));
    }
    budgets.push_back(budget);
  };
  if (fields.has("keep")) {
    for (const Growth growth : growths) {
      read_numbers(fields.at("keep"), [&](const YamlFields& node, double keep) {
        if (!(keep > 0 && keep <= 1)) {
          node.fail_here(
              fmt::format("is {}, a budget is a fraction kept: above 0 and at most 1", keep));
        }
        add(node, BudgetChoice{keep, std::nullopt, growth});
      });
    }
  }
  if (fields.has("keep_tokens")) {
    read_numbers(fields.at("keep_tokens"), [&](const YamlFields& node, double tokens) {
      if (!(tokens >= 1 && tokens <= 1e9) || tokens != std::floor(tokens)) {
        node.fail_here(fmt::format("is {}, needs a whole number of tokens from 1", tokens));
      }
      add(node, BudgetChoice{std::nullopt, static_cast<int64_t>(tokens), Growth::kPrompt});
    });
  }
  return budgets;
}

}  // namespace elastikv
