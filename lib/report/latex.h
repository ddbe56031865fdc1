#pragma once

#include <string>
#include <string_view>

namespace elastikv {

/// Text as LaTeX (pdfLaTeX with UTF-8 input and T1 fonts) prints it: special characters escaped,
/// line ends as spaces, characters beyond the European Latin ones as "[U+4E2D]".
std::string latex_escape(std::string_view text);

}  // namespace elastikv
