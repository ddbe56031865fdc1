#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "base/yaml_fields.h"

namespace elastikv {

// Values of YAML files that several readers check alike.

/// The elements of a list, which may be empty, or the one thing itself: people write "data: {...}"
/// for one data set.
std::vector<YamlFields> any_or_none(const YamlFields& node);
/// Likewise; Error for a list without any.
std::vector<YamlFields> one_or_list(const YamlFields& node);

/// The texts of a list, which may be empty, or of one scalar.
std::vector<std::string> texts_at(const YamlFields& node);

/// The node's integer. Error for one out of range.
int64_t integer_between(const YamlFields& node, int64_t least, int64_t most = INT64_MAX);

/// Turns the Error of a check that knows nothing of files into one that names this node.
template <typename Check>
auto checked(const YamlFields& node, Check check) {
  try {
    return check();
  } catch (const Error& error) {
    node.fail_here(fmt::format("is not usable: {}", error.what()));
  }
}

}  // namespace elastikv
