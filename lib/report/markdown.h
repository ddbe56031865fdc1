#pragma once

#include <string>
#include <vector>

#include "report/runs.h"

namespace elastikv {

/// What report.md has, with the measures of the summary alone.
std::string summary_markdown(const std::vector<ReportRun>& runs,
                             const std::vector<ReportGroup>& groups);

/// Entries kept per layer, their share of the prompt and the bytes they take, strategies by
/// budgets.
Table budget_table(const GroupSummary& group);
/// The report's name: the sweep's, or the runs'.
std::string report_title(const std::vector<ReportRun>& runs);
/// How to make the records again, without what differs between a run and its repetition (the output
/// folder, --resume); empty where the run did not note it.
std::string stable_command(const ReportRun& run);

}  // namespace elastikv
