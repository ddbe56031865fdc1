// "mmmu-open": MMMU's rule for questions without options; "accuracy-mmmu": that, and the rule of
// multiple choice for the others.
#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "base/fields.h"
#include "jinja/characters.h"
#include "jinja/python_text.h"
#include "jinja/text_tools.h"
#include "metrics/choice_letters.h"
#include "metrics/python_strings.h"
#include "metrics/text_families.h"
#include "text/regex.h"

namespace elastikv {
namespace {

// X. Yue et al., "MMMU: A Massive Multi-discipline Multimodal Understanding and Reasoning
// Benchmark", 2024, whose evaluation code lmms-eval has.

/// What an answer may be announced by; "=" in the last line alone.
constexpr std::array<std::string_view, 9> kAnnouncements{
    "could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ", "="};

/// A text in lower case, or a number with two decimals.
using Value = std::variant<std::string, double>;

double with_two_decimals(double number) {
  double rounded = number;
  parse_double(fmt::format("{:.2f}", number), rounded);
  return rounded;
}

/// A letter alone is looked for beside a space, or it would be found anywhere.
void add_values(std::string_view text, std::vector<Value>& values) {
  text = jinja::strip(text);
  if (const auto number = jinja::parse_float(replace_character(text, ',', ""))) {
    values.emplace_back(with_two_decimals(*number));
    return;
  }
  std::string lowered = jinja::lower(text);
  if (jinja::count_characters(lowered) == 1) {
    values.emplace_back(" " + lowered);
    lowered += ' ';
  }
  values.emplace_back(std::move(lowered));
}

/// The shortest of what follows the last of each announcement in a line; empty without any.
std::string announced(std::string_view line, bool is_last) {
  std::string shortest;
  for (const std::string_view announcement : kAnnouncements) {
    if (announcement == "=" && !is_last) continue;
    const size_t place = jinja::find_last(line, announcement);
    if (place == std::string_view::npos) continue;
    const std::string_view rest = jinja::strip(line.substr(place + announcement.size()));
    if (shortest.empty() || jinja::count_characters(rest) < jinja::count_characters(shortest)) {
      shortest = rest;
    }
  }
  constexpr std::string_view kMarks = ":,.!?;'";
  if (shortest.size() == 1 && kMarks.find(shortest[0]) != std::string_view::npos) return "";
  return shortest;
}

/// The lines' announced answers, or the whole text where none is announced.
std::vector<std::string> answers_in(std::string_view text) {
  const std::string said = jinja::lower(strip_character(jinja::strip(text), '.'));
  const std::vector<std::string_view> lines = jinja::split(said, "\n", /*most=*/-1);
  std::vector<std::string> answers;
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string answer = announced(lines[i], i + 1 == lines.size());
    if (!answer.empty()) answers.push_back(std::move(answer));
  }
  if (answers.empty()) answers.push_back(said);
  return answers;
}

/// Numbers with commas, in scientific notation, and others.
void add_numbers(std::string_view text, std::vector<Value>& values) {
  static const std::array<Regex, 3> forms{
      Regex(R"(-?\b\d{1,3}(?:,\d{3})+\b)", "numbers with commas"),
      Regex(R"(-?\d+(?:\.\d+)?[eE][+-]?\d+)", "numbers with exponents"),
      Regex(R"(-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d]))", "other numbers")};
  for (const Regex& numbers : forms) {
    for (const ByteSpan& found : numbers.find_all(text))
      add_values(text.substr(found.begin, found.end - found.begin), values);
  }
}

bool is_answer(const Value& said, const Value& expected) {
  if (said.index() != expected.index()) return false;
  if (const auto* number = std::get_if<double>(&said)) return *number == std::get<double>(expected);
  return holds_text(std::get<std::string>(said), std::get<std::string>(expected));
}

std::optional<double> by_mmmu(std::string_view text, const Question& question) {
  std::vector<Value> said;
  for (const std::string& answer : answers_in(text)) {
    add_values(answer, said);
    add_numbers(answer, said);
  }
  std::vector<Value> expected;
  for (const std::string& reference : question.references) add_values(reference, expected);
  const bool right = std::any_of(said.begin(), said.end(), [&](const Value& one) {
    return std::any_of(expected.begin(), expected.end(),
                       [&](const Value& other) { return is_answer(one, other); });
  });
  return right ? 1 : 0;
}

std::optional<double> by_kind_of_question(std::string_view text, const Question& question) {
  if (question.options.empty()) return by_mmmu(text, question);
  return judged_letter(letter_by_mmmu(text, question), question);
}

}  // namespace

TextFamily mmmu_open() {
  return family_of({{.name = "mmmu-open",
                     .label = "MMMU, open questions",
                     .mean = "accuracy",
                     .definition = "type:mmmu-open|rule:mmmu-lmms-eval-0.7.3",
                     .lacking = "",
                     .score = by_mmmu},
                    {.name = "accuracy-mmmu",
                     .label = "MMMU accuracy",
                     .mean = "accuracy",
                     .definition = "type:choice-or-open|rule:mmmu-lmms-eval-0.7.3|none:wrong",
                     .lacking = "an answer that is one of the options",
                     .score = by_kind_of_question}});
}

}  // namespace elastikv
