#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

/// The known name with the smallest edit distance (insert, delete, replace, swap of neighbours) to
/// `name`, or an empty string when none is near enough to be a likely slip (more than a third of
/// the name, at least 2 edits, away).
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

/// "; did you mean 'x'?" or "; known: a, b, c" when nothing is near: the tail of an unknown-name
/// message.
std::string suggestion(std::string_view name, const std::vector<std::string>& known);

}  // namespace elastikv
