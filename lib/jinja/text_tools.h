#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/runtime.h"

namespace elastikv::jinja {

// What methods and filters of strings share. Views point into the text they are given.

/// str.replace; every occurrence for a negative count.
std::string replaced(Runtime& runtime, std::string_view text, std::string_view old,
                     std::string_view replacement, int64_t count);
/// str.split and str.rsplit; by white space when there is no separator. At most `most` cuts unless
/// negative. Error for an empty separator.
std::vector<std::string_view> split(std::string_view text,
                                    std::optional<std::string_view> separator, int64_t most);
std::vector<std::string_view> split_from_right(std::string_view text,
                                               std::optional<std::string_view> separator,
                                               int64_t most);
/// str.splitlines.
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);
/// str.strip and its kin, of white space or of the given characters.
std::string_view stripped(std::string_view text, std::optional<std::string_view> characters,
                          bool left, bool right);
/// str.center.
std::string centered(Runtime& runtime, std::string_view text, int64_t width, std::string_view fill);

/// str.islower and str.isupper.
bool is_lower_text(Runtime& runtime, std::string_view text);
bool is_upper_text(Runtime& runtime, std::string_view text);

/// Strings of texts; markup when `like` is.
std::vector<Value> strings(Runtime& runtime, const std::vector<std::string_view>& texts,
                           const StringObject& like);

}  // namespace elastikv::jinja
