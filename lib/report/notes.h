#pragma once

#include <string>
#include <vector>

#include "report/runs.h"

namespace elastikv {

/// What a reader has to know before the numbers of a measure's table, as plain sentences; empty
/// where there is nothing to say:
///  * perplexity: answers that no strategy can change, when they are over 1 %, and answers without
///    a scored token;
///  * divergence: over how many samples it is, when not over all;
///  * text metrics: pairs of texts that have no score of their own;
///  * all by which strategies are compared: budgets at which a control (the presets random and
///    stride) is not told apart from the best strategy.
std::vector<std::string> notes_above(const ReportGroup& group, const Measure& measure);

/// The first of these, of the samples of some cells alone: "7 of 8 answers (87.5 %) have ...";
/// empty for 1 % and less.
std::string blind_answers_note(const std::vector<CellSummary>& cells);

/// The same for categories that have any, one clause each; empty for none.
std::string blind_categories_note(const ReportGroup& group);

/// What stands below a table of differences: what they are paired over, what * and p mean, and what
/// was left out.
std::string difference_note(const ReportGroup& group, const Measure& measure);

}  // namespace elastikv
