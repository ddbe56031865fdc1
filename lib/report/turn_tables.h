#pragma once

#include <string>
#include <vector>

#include "report/runs.h"
#include "report/table.h"

namespace elastikv {

/// A table by turn of a conversation, with its heading and what stands below it.
struct TurnTable {
  std::string title;
  Table table;
  std::string note;
};

/// Of a group whose conversations go on from turn to turn, at each budget: strategies by turns in
/// every measure of the summary, and what paired differences by turn compare_with asks for; then
/// the entries that a layer holds when a turn begins. Headers give the conversations that have a
/// turn. Nothing of other groups.
std::vector<TurnTable> turn_tables(const ReportGroup& group);

/// Turn by turn every measure of the summary, and what the caches held, in long form.
Table turns_csv(const std::vector<ReportGroup>& groups);
/// Turn by turn every cell minus the full cache and minus each of compare_with at the same budget.
/// p_holm is adjusted for the differences of one measure from one baseline, at all turns and
/// budgets.
Table turn_differences_csv(const std::vector<ReportGroup>& groups);

}  // namespace elastikv
