#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "report/runs.h"

namespace elastikv {

/// How many samples a group's numbers are over, as plain text: "16 samples", "15 of 16 samples",
/// "16 samples in 4 clusters".
std::string sample_count(const GroupSummary& group);

/// Writes names of samples and text from elsewhere (reasons, ids of cells) for one kind of output.
struct Writing {
  std::string (*name)(std::string_view);
  std::string (*text)(std::string_view);
};
/// Names as code, and everything escaped.
Writing in_markdown();
/// As it is: for what is escaped as a whole later.
Writing as_it_is();

/// What a group lacks: samples left out in all cells, samples still to come, and cell by cell the
/// samples that failed, each with its reason. One line each; empty when nothing is missing.
std::vector<std::string> missing_lines(const GroupSummary& group, const Writing& writing);

/// "left out in all cells: `s3` (the image is torn)", in Markdown, without a trailing stop; empty
/// for none.
std::string left_out_text(const GroupSummary& group);

/// The `fixture` note of the runs' provenance, with which made-up records say that they are; empty
/// for measured ones.
std::string fixture_banner(const std::vector<ReportRun>& runs);

}  // namespace elastikv
