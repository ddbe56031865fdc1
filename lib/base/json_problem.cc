#include "base/json_problem.h"

#include <algorithm>

#include <fmt/format.h>

namespace elastikv {
namespace {

constexpr std::string_view kUnicodeEscape = "\\u";

/// "invalid literal" of "[json.exception.parse_error.101] parse error at line 1, column 8: syntax
/// error while parsing value - invalid literal; last read: 'N'; expected ...".
std::string reason_in(std::string_view what) {
  const size_t dash = what.find(" - ");
  if (dash != std::string_view::npos) what.remove_prefix(dash + 3);
  const size_t read = what.find("; last read: ");
  if (read == std::string_view::npos) return std::string(what);
  // What was read is the user's own text, which may hold anything.
  const size_t expected = what.rfind("; expected ");
  std::string reason(what.substr(0, read));
  if (expected != std::string_view::npos && expected > read) reason += what.substr(expected);
  return reason;
}

/// The escape of half a character, of which the parser complains at or behind its end.
size_t half_before(std::string_view text, size_t at) {
  size_t place = text.rfind(kUnicodeEscape, at);
  if (place == std::string_view::npos) return at;
  constexpr size_t kEscape = 6;
  const bool first_half =
      place + 3 < text.size() && (text[place + 2] == 'd' || text[place + 2] == 'D') &&
      text[place + 3] != '\0' &&
      std::string_view("89abAB").find(text[place + 3]) != std::string_view::npos;
  const bool second_of_two =
      !first_half && place >= kEscape && text.substr(place - kEscape, 2) == kUnicodeEscape &&
      (text[place - kEscape + 2] == 'd' || text[place - kEscape + 2] == 'D') &&
      std::string_view("89abAB").find(text[place - kEscape + 3]) != std::string_view::npos;
  return second_of_two ? place - kEscape : place;
}

}  // namespace

JsonProblem json_problem(std::string_view text, size_t byte, std::string_view what) {
  size_t at = std::min(byte > 0 ? byte - 1 : 0, text.size());
  JsonProblem problem;
  problem.reason = reason_in(what);
  if (problem.reason.find("surrogate") != std::string::npos) {
    at = half_before(text, at);
    problem.reason = fmt::format("{} is a lone surrogate, half of a character", text.substr(at, 6));
  } else {
    for (const std::string_view number : {"NaN", "Infinity"}) {
      if (!text.substr(at).starts_with(number)) continue;
      const bool negative = at > 0 && text[at - 1] == '-';
      if (negative) --at;
      problem.reason =
          fmt::format("{}{} is not JSON (write null or a number)", negative ? "-" : "", number);
      break;
    }
  }
  const std::string_view before = text.substr(0, at);
  problem.line = 1 + static_cast<size_t>(std::count(before.begin(), before.end(), '\n'));
  const size_t line_end = before.rfind('\n');
  const std::string_view in_line =
      line_end == std::string_view::npos ? before : before.substr(line_end + 1);
  // The bytes of a character behind its first do not count.
  problem.column =
      1 + static_cast<size_t>(std::count_if(in_line.begin(), in_line.end(), [](char byte) {
        return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
      }));
  return problem;
}

}  // namespace elastikv
