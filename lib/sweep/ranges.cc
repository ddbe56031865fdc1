#include "sweep/ranges.h"

#include <algorithm>
#include <cmath>
#include <string>

#include <fmt/format.h>

#include "base/error.h"
#include "base/fields.h"
#include "base/yaml_values.h"

namespace elastikv {
namespace {

constexpr size_t kLongestRange = 1000;

/// Digits after the point as written; -1 for a number with an exponent.
int decimals(std::string_view number) {
  if (number.find_first_of("eE") != std::string_view::npos) return -1;
  const size_t point = number.find('.');
  return point == std::string_view::npos ? 0 : static_cast<int>(number.size() - point - 1);
}

/// The place of a sign in a number's or range's text that is not an exponent's, from `start`.
size_t find_sign(std::string_view text, std::string_view signs, size_t start) {
  size_t at = text.find_first_of(signs, start);
  while (at != std::string_view::npos && at > 0 && (text[at - 1] == 'e' || text[at - 1] == 'E'))
    at = text.find_first_of(signs, at + 1);
  return at;
}

}  // namespace

std::vector<double> expand_range(std::string_view text) {
  double value = 0;
  if (parse_double(text, value)) return {};  // "1e-3" is a number
  const size_t dash = text.empty() ? std::string_view::npos : find_sign(text, "-", 1);
  if (dash == std::string_view::npos) return {};
  const size_t sign = find_sign(text, "+*", dash);
  const std::string_view first_text = text.substr(0, dash);
  const std::string_view last_text =
      text.substr(dash + 1, sign == std::string_view::npos ? sign : sign - dash - 1);
  const std::string_view step_text =
      sign == std::string_view::npos ? std::string_view("1") : text.substr(sign + 1);
  double first = 0;
  double last = 0;
  double step = 0;
  if (!parse_double(first_text, first) || !parse_double(last_text, last)) return {};
  if (!parse_double(step_text, step)) {
    fail("range '{}' has the step '{}', needs a number after its '{}'", text, step_text,
         text[sign]);
  }
  const bool whole = first == std::floor(first) && last == std::floor(last);
  if (sign == std::string_view::npos && !whole) {
    fail("range '{}' needs a step, for example {}+0.1", text, text);
  }
  const bool multiplies = sign != std::string_view::npos && text[sign] == '*';
  const bool usable = std::isfinite(first) && std::isfinite(last) && std::isfinite(step) &&
                      first <= last && (multiplies ? step > 1 && first > 0 : step > 0);
  if (!usable) {
    fail("range '{}' needs first <= last and a step that leads from one to the other", text);
  }
  const int written = std::max({decimals(first_text), decimals(last_text), decimals(step_text)});
  const bool round = !multiplies && decimals(first_text) >= 0 && decimals(last_text) >= 0 &&
                     decimals(step_text) >= 0;
  std::vector<double> values;
  const double tolerance = 1e-9 * std::max(1.0, std::abs(last));
  double at = first;
  for (size_t i = 0; at <= last + tolerance; ++i) {
    if (values.size() == kLongestRange) fail("range '{}' has over {} values", text, kLongestRange);
    double exact = at;
    if (round) parse_double(fmt::format("{:.{}f}", at, written), exact);
    values.push_back(exact);
    at = multiplies ? at * step : first + static_cast<double>(i + 1) * step;
  }
  return values;
}

void read_numbers(const YamlFields& list,
                  const std::function<void(const YamlFields&, double)>& use) {
  for (const YamlFields& node : one_or_list(list)) {
    const std::vector<double> range =
        node.is_scalar() ? checked(node, [&] { return expand_range(node.as_string()); })
                         : std::vector<double>{};
    if (range.empty()) {
      use(node, node.as_number());
    } else {
      for (const double value : range) use(node, value);
    }
  }
}

}  // namespace elastikv
