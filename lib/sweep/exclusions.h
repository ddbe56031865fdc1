#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/keys_fwd.h"
#include "base/yaml_fields.h"
#include "sweep/cell.h"

namespace elastikv {

struct SweepConfig;

/// Cells that a sweep leaves out: those that fit every part that is given. A part is a list of
/// names or patterns, in which "*" stands for any characters; empty: any.
struct Exclusion {
  std::vector<std::string> model;     // a label, or the label with the dtype: "llava", "llava-bf16"
  std::vector<std::string> data;      // a data set's name
  std::vector<std::string> strategy;  // a strategy's label
  std::vector<std::string> budget;    // BudgetChoice::text; "1" is the full cache

  bool covers(const ModelChoice& model, const Cell& cell) const;
};

/// The keys of an entry of the section "exclude" of "matrix".
const Keys<Exclusion>& exclusion_keys();

/// Whether `text` is what `pattern` says: the same, or alike where "*" stands for any characters.
bool matches_pattern(std::string_view pattern, std::string_view text);

/// The section "exclude" of "matrix", one mapping or a list of them. Error for a name or pattern
/// that fits nothing of the sweep (with the nearest name), for a mapping that fits no cell, and
/// when no cell is left. The name of a strategy that a list made several of means all of them.
std::vector<Exclusion> read_exclusions(const YamlFields& node, const SweepConfig& config);

}  // namespace elastikv
