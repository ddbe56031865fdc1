#pragma once

#include <string>
#include <vector>

#include "report/runs.h"

namespace elastikv {

/// How many samples a group's numbers are over, as plain text: "16 samples", "15 of 16 samples".
std::string sample_count(const GroupSummary& group);

/// What a group lacks: samples left out in all cells, samples still to come, and cell by cell the
/// samples that failed, each with its reason. One line each; empty when nothing is missing. `quote`
/// stands around names of samples.
std::vector<std::string> missing_lines(const GroupSummary& group, const std::string& quote = "`");

/// "left out in all cells: `s3` (the picture is torn)", without a trailing stop; empty for none.
std::string left_out_text(const GroupSummary& group);

/// The `fixture` note of the runs' provenance, with which made-up records say that they are; empty
/// for measured ones.
std::string fixture_banner(const std::vector<ReportRun>& runs);

}  // namespace elastikv
