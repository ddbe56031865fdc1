#pragma once

#include <string>
#include <vector>

#include "report/runs.h"

namespace elastikv {

// What a metric says beside its numbers (Metric), for the cells of a group; empty where there is
// nothing to say.

/// What a reader has to know before the numbers of a measure's table, as plain sentences: what the
/// metric says, and, of those by which strategies are compared, the budgets at which a control (the
/// presets random and stride) is not told apart from the best strategy.
std::vector<std::string> notes_above(const ReportGroup& group, const Measure& measure);

/// Which of the samples are the same to every strategy, by all measures that know of any: "7 of 8
/// answers (87.5 %) have one scored token".
std::string unmoved_note(const std::vector<CellSummary>& cells,
                         const std::vector<Measure>& measures);

/// How much was measured beyond the samples: "72 scored tokens".
std::string amount_note(const ReportGroup& group);

/// What stands below a measure's tables by category.
std::string category_note(const ReportGroup& group, const Measure& measure);

/// What stands below a table of differences: what they are paired over, what * and p mean, and what
/// the metric says.
std::string difference_note(const ReportGroup& group, const Measure& measure);

}  // namespace elastikv
