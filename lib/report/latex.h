#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "report/runs.h"

namespace elastikv {

/// Text as LaTeX (pdfLaTeX with UTF-8 input and T1 fonts) prints it: special characters escaped,
/// line ends as spaces, characters beyond the European Latin ones as "[U+4E2D]".
std::string latex_escape(std::string_view text);

struct LatexFile {
  std::string name;
  std::string text;
};

/// table-MEASURE.tex, booktabs tables of strategies by budgets, one for each group, and report.tex,
/// a document that has them all. A column's best value is set in bold, and with it every one that
/// the paired bootstrap does not tell apart from it; intervals stand small below their values; the
/// full cache has a row of its own above the others.
std::vector<LatexFile> report_latex(const std::vector<ReportRun>& runs,
                                    const std::vector<ReportGroup>& groups);

}  // namespace elastikv
