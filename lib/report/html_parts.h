#pragma once

#include <functional>
#include <string>
#include <vector>

#include "report/runs.h"
#include "report/table.h"

namespace elastikv {

/// The page's style sheet, without the element around it.
std::string html_style();

/// A table with its first column as row headers; an interval after a number stands small. `best`
/// says which fields are set in bold, by row and column of the table's rows.
std::string html_table(const Table& table,
                       const std::function<bool(size_t row, size_t column)>& best = nullptr);

/// Charts of a group: perplexity, text metrics and mean KL against the budget (one per kind of
/// budget), and each measure of the summary against the bytes that are held.
std::string html_charts(const ReportGroup& group);

/// A few samples of a group: what is kept of their images and prompts at the lowest budget,
/// attention by position, question, answer and texts. `id` begins the ids of the elements.
/// Empty when no sample was evaluated.
std::string html_samples(const ReportGroup& group, const std::string& id);

}  // namespace elastikv
