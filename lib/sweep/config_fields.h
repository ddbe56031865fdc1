#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json_fwd.hpp>

#include "base/error.h"
#include "base/yaml_fields.h"
#include "sweep/cell.h"

namespace elastikv {

// What the YAML files of sweeps and of benchmarks have in common.

/// More tokens than any prompt or answer may ask for.
constexpr int64_t kMostNewTokens = 1 << 20;

/// Settings of the command line: dotted keys (numbers index lists: models.0.dtype) and values,
/// which are YAML, or a comma list, which becomes a YAML list.
using SetOptions = std::vector<std::pair<std::string, std::string>>;

/// "a.b=c" as one of SetOptions. Error when there is no key before a "=".
std::pair<std::string, std::string> parse_set_option(std::string_view text);

/// Puts the settings into a file's fields, each as `apply(root, key, value as YAML)` says, and lets
/// `read` read them. An Error of `read` gets the settings appended: the line is the file's, but the
/// value at fault may be the command line's.
template <typename Apply, typename Read>
auto read_with_settings(YamlFields root, const SetOptions& set, Apply apply, Read read);
/// The same with every setting put where its key says.
template <typename Read>
auto read_with_settings(YamlFields root, const SetOptions& set, Read read);

/// The numbers that a range means: "0.1-0.5+0.2" is 0.1, 0.3, 0.5 (the end is included when a step
/// meets it), "64-512*2" doubles, "1-3" counts in ones. The values are rounded to the decimals that
/// the range was written with, so that 0.3 is the same 0.3 as in a list. Empty when `text` is no
/// range; Error for one without a step where it needs one, or whose step leads nowhere.
std::vector<double> expand_range(std::string_view text);

/// The elements of a list, or the one thing itself: people write "data: {...}" for one data set.
std::vector<YamlFields> one_or_list(const YamlFields& node);

/// Turns the Error of a check that knows nothing of files into one that names this node.
template <typename Check>
auto checked(const YamlFields& node, Check check) {
  try {
    return check();
  } catch (const Error& error) {
    node.fail_here(fmt::format("is not usable: {}", error.what()));
  }
}

/// The integer at a key, or `otherwise` without one. Error for one out of range.
int64_t at_least(const YamlFields& fields, std::string_view key, int64_t least, int64_t otherwise,
                 int64_t most = INT64_MAX);

/// Error for a name that would be that of several things: `name_key` beside one of `keys` that
/// lists several values.
void require_no_name(const YamlFields& fields, std::string_view name_key,
                     const std::vector<std::string>& keys);

/// A name that stands in cell ids, tables and CSV files. Error for characters that do not belong
/// there.
std::string label_of(const YamlFields& node);
/// What a file's or folder's name becomes when it serves as a label.
std::string as_label(std::string text);
/// The label of a model's folder.
std::string folder_label(const std::filesystem::path& folder);

/// "file.yaml:3", for messages.
std::string place_of(const YamlFields& node);

std::vector<std::string> split_commas(std::string_view text);

/// Calls `use` with the numbers of a list whose entries are numbers or ranges (or of one of them).
void read_numbers(const YamlFields& list,
                  const std::function<void(const YamlFields&, double)>& use);

/// A preset's name, or a mapping of preset, name and set. A list or range in `set` makes a strategy
/// for each value (for each combination where several keys list), named after it:
/// "elastic-sinks2".
std::vector<StrategyChoice> read_strategies(const YamlFields& node);

/// A section `budgets` with keep, keep_tokens and growth: fractions ascending as listed, then token
/// counts.
std::vector<BudgetChoice> read_budgets(const YamlFields& fields);
/// The same section from its budgets.
nlohmann::ordered_json budgets_json(const std::vector<BudgetChoice>& budgets);
/// A strategy as the files write it.
nlohmann::ordered_json strategy_json(const StrategyChoice& strategy);

/// Error when two entries would have the same name in a table.
template <typename Item, typename Name>
void require_unique(const std::vector<Item>& items, const YamlFields& node, Name name_of,
                    std::string_view remedy) {
  std::set<std::string> seen;
  for (const Item& item : items) {
    const std::string name = name_of(item);
    if (!seen.insert(name).second) {
      node.fail_here(fmt::format("has two entries named '{}'; {}", name, remedy));
    }
  }
}

/// The value of a setting as YAML: a comma list becomes a YAML list, anything that is already
/// written as YAML stays. Error for a list with an empty entry, naming `key`.
std::string set_value(std::string_view key, std::string_view text);

/// A mapping for each combination of values that some of its keys list.
struct Variant {
  YamlFields fields;  ///< with one value at each of the keys
  std::string
      suffix;  ///< "-sinks2-granularity-layer": what a name needs to tell it from the others
};
/// A key of a mapping that may list values.
struct VariantKey {
  std::string key;
  bool named = true;    ///< false: the name follows from the value anyhow, as from a path
  bool ranges = false;  ///< "1-4+1" counts
};
/// The mapping once for each combination, the first key's values outermost; itself when no key
/// lists several.
std::vector<Variant> variants_of(const YamlFields& fields, const std::vector<VariantKey>& keys);

template <typename Apply, typename Read>
auto read_with_settings(YamlFields root, const SetOptions& set, Apply apply, Read read) {
  std::string applied;
  for (const auto& [key, value] : set) {
    root = apply(root, key, set_value(key, value));
    applied += fmt::format("{} --set {}={}", applied.empty() ? "" : ",", key, value);
  }
  try {
    return read(root);
  } catch (const Error& error) {
    if (applied.empty()) throw;
    fail("{} (with{})", error.what(), applied);
  }
}

template <typename Read>
auto read_with_settings(YamlFields root, const SetOptions& set, Read read) {
  const auto apply = [](const YamlFields& fields, const std::string& key,
                        const std::string& value) { return fields.with(key, value); };
  return read_with_settings(std::move(root), set, apply, read);
}

}  // namespace elastikv
