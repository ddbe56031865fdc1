#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

/// Without ASCII white space at both ends.
std::string_view trimmed(std::string_view text);

/// With each `what` (not empty) replaced, from left to right.
std::string replace_each(std::string_view text, std::string_view what, std::string_view content);

/// "a, b and c", or with another word before the last.
std::string listed(const std::vector<std::string>& texts, std::string_view before_last = "and");

/// Makes the line ends "\r\n" and "\r" the "\n" they stand for, as Python does with texts.
void unify_line_ends(std::string& text);

}  // namespace elastikv
