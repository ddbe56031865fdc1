#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

// What the rules of benchmarks of long inputs share. Texts are valid UTF-8.

/// text.lstrip("\n").split("\n")[0], as LongBench cuts texts of few-shot tasks.
std::string_view first_line(std::string_view text);
/// re.findall(r"\d+", text): runs of decimal digits of any script.
std::vector<std::string_view> digit_runs(std::string_view text);
/// Each of these ASCII characters as a space.
std::string spaced_out(std::string_view text, std::string_view characters);
/// Runs of spaces as one.
std::string single_spaced(std::string_view text);

}  // namespace elastikv
