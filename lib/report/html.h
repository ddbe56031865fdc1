#pragma once

#include <string>
#include <vector>

#include "report/runs.h"

namespace elastikv {

/// report.html: one page with everything inside it (style, charts, pictures), no script and no
/// address that a browser would load, legible in light and dark and in print. Everything that comes
/// from data, models or file names is escaped. Besides what report.md has: charts against budget
/// and bytes, what the strategies keep of a few samples, example texts, and the runs' provenance,
/// which is the one part that differs between a sweep and its repetition.
std::string report_html(const std::vector<ReportRun>& runs, const std::vector<ReportGroup>& groups);

}  // namespace elastikv
