#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace elastikv::jinja {

struct WrapOptions {
  int64_t width = 79;
  bool break_long_words = true;
  bool break_on_hyphens = true;
};

/// Python's textwrap.wrap with expand_tabs and replace_whitespace off: the lines of a paragraph.
/// Error for a width that is not positive.
std::vector<std::string> wrapped(std::string_view text, const WrapOptions& options);

}  // namespace elastikv::jinja
