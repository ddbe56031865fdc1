// "relaxed-accuracy" and its kin: numbers may be off by 5 %.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>

#include "jinja/characters.h"
#include "jinja/python_text.h"
#include "metrics/text_families.h"

namespace elastikv {
namespace {

constexpr double kTolerance = 0.05;

/// The number that a text is; "50%" is 0.5.
std::optional<double> number_of(std::string_view text) {
  if (!text.ends_with('%')) return jinja::parse_float(text);
  while (text.ends_with('%')) text.remove_suffix(1);
  std::optional<double> number = jinja::parse_float(text);
  if (number) *number /= 100;
  return number;
}

/// A. Masry et al., "ChartQA", 2022, section 5.1, as pix2struct, Qwen-VL and both kits compute it:
/// an answer of 0 is compared as a text.
bool is_relaxed_match(std::string_view text, std::string_view answer) {
  const std::optional<double> said = number_of(text);
  const std::optional<double> expected = number_of(answer);
  if (said && expected && *expected != 0)
    return std::abs(*said - *expected) / std::abs(*expected) <= kTolerance;
  return jinja::lower(text) == jinja::lower(answer);
}

AnswerRule relaxed_rule(const char* name, const char* label, const char* definition, bool strip) {
  return {
      .name = name,
      .label = label,
      .mean = "relaxed accuracy",
      .definition = definition,
      .lacking = "",
      .score = [strip](std::string_view text, const Question& question) -> std::optional<double> {
        if (strip) text = jinja::strip(text);
        return std::any_of(
                   question.references.begin(), question.references.end(),
                   [&](const std::string& answer) { return is_relaxed_match(text, answer); })
                   ? 1
                   : 0;
      }};
}

}  // namespace

TextFamily relaxed_accuracy() {
  return family_of({relaxed_rule("relaxed-accuracy", "ChartQA",
                                 "type:relaxed|tolerance:0.05|norm:lower-lmms-eval-0.7.3",
                                 /*strip=*/false),
                    relaxed_rule("relaxed-accuracy-vlmeval", "ChartQA (VLMEvalKit)",
                                 "type:relaxed|tolerance:0.05|norm:strip,lower-vlmevalkit-0.0.20",
                                 /*strip=*/true)});
}

}  // namespace elastikv
