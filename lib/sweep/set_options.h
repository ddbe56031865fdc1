#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "base/yaml_fields.h"

namespace elastikv {

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

/// The value of a setting as YAML: a comma list becomes a YAML list, anything that is already
/// written as YAML stays. Error for a list with an empty entry, naming `key`.
std::string set_value(std::string_view key, std::string_view text);

std::vector<std::string> split_commas(std::string_view text);

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
