#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "report/comparison.h"
#include "report/table.h"
#include "report/table_forms.h"

namespace elastikv {

/// For people: a section per table, a part per pair with its numbers and protocol.
std::string comparison_markdown(const std::vector<TableComparison>& comparisons);
/// For programs: one row per compared value, in long form.
Table comparison_table(const std::vector<TableComparison>& comparisons);
/// For programs: tables, pairs, values and points of the protocol as they are nested.
std::string comparison_json(const std::vector<TableComparison>& comparisons);

/// The forms that comparisons can be written in.
const TableForms& comparison_forms();
/// Comparisons in one of these, by its name; Error for another.
std::string write_comparison(const std::vector<TableComparison>& comparisons,
                             std::string_view form);

}  // namespace elastikv
