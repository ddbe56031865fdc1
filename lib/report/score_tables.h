#pragma once

#include <string>
#include <string_view>

#include "report/scores.h"
#include "report/table.h"
#include "report/table_forms.h"

namespace elastikv {

/// For people: one file's metrics one below the other, of several files a row each with what tells
/// them apart; then the signatures, and what to know of the numbers.
std::string scores_text(const ScoredFiles& scores);
/// For programs: one row per line and metric, then one per metric with the mean F (`row` tells them
/// apart), then the same by category; with a column for the file where there are several.
Table scores_table(const ScoredFiles& scores);
/// The same nested, by file.
std::string scores_json(const ScoredFiles& scores);

/// The forms that scores can be written in.
const TableForms& score_forms();
/// Scores in one of these, by its name; Error for another.
std::string write_scores(const ScoredFiles& scores, std::string_view form);

}  // namespace elastikv
