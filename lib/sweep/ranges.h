#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "base/yaml_fields.h"

namespace elastikv {

/// The numbers that a range means: "0.1-0.5+0.2" is 0.1, 0.3, 0.5 (the end is included when a step
/// meets it), "64-512*2" doubles, "1-3" counts in ones. The values are rounded to the decimals that
/// the range was written with, so that 0.3 is the same 0.3 as in a list. Empty when `text` is no
/// range; Error for one without a step where it needs one, or whose step leads nowhere.
std::vector<double> expand_range(std::string_view text);

/// Calls `use` with the numbers of a list whose entries are numbers or ranges (or of one of them).
void read_numbers(const YamlFields& list,
                  const std::function<void(const YamlFields&, double)>& use);

}  // namespace elastikv
