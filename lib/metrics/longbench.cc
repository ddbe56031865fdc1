// LongBench's rules beside "qa-f1": "rouge-l-longbench", "classification-longbench" and so on, and
// LongBench v2's "choice-longbench-v2".
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/characters.h"
#include "metrics/choice_letters.h"
#include "metrics/long_texts.h"
#include "metrics/python_strings.h"
#include "metrics/rouge_pltrdy.h"
#include "metrics/sequence_matcher.h"
#include "metrics/text_families.h"

namespace elastikv {
namespace {

// Y. Bai et al., "LongBench: A Bilingual, Multitask Benchmark for Long Context Understanding",
// 2024: of several answers the best score counts.

std::optional<double> longbench_rouge(std::string_view text, const Question& question) {
  return best_of(question.references,
                 [&](const std::string& answer) { return PltrdyRouge(answer, text).rouge_l().f; });
}

std::optional<double> longbench_rouge_of_line(std::string_view text, const Question& question) {
  return longbench_rouge(first_line(text), question);
}

/// The share of one among the classes that the text names. A class that is part of the answer is
/// not counted; as the list is made shorter while it is gone through, one that follows it may be.
double classified(std::string_view line, const std::string& answer,
                  const std::vector<std::string>& classes) {
  std::vector<std::string> named;
  for (const std::string& name : classes) {
    if (holds_text(line, name)) named.push_back(name);
  }
  for (size_t i = 0; i < named.size(); ++i) {
    const std::string name = named[i];
    if (holds_text(answer, name) && name != answer)
      named.erase(std::find(named.begin(), named.end(), name));
  }
  const bool is_named = std::find(named.begin(), named.end(), answer) != named.end();
  return is_named ? 1 / static_cast<double>(named.size()) : 0;
}

std::optional<double> longbench_classes(std::string_view text, const Question& question) {
  if (question.options.empty()) return std::nullopt;
  const auto line = first_line(text);
  return best_of(question.references, [&](const std::string& answer) {
    return classified(line, answer, question.options);
  });
}

/// The share of the text's numbers that are the right one.
double right_numbers(std::string_view text, std::string_view right) {
  const std::vector<std::string_view> numbers = digit_runs(text);
  if (numbers.empty()) return 0;
  const auto count = std::count(numbers.begin(), numbers.end(), right);
  return static_cast<double>(count) / static_cast<double>(numbers.size());
}

std::optional<double> longbench_count(std::string_view text, const Question& question) {
  return best_of(question.references,
                 [&](const std::string& answer) { return right_numbers(text, answer); });
}

/// The number behind the word of an answer like "Paragraph 3"; empty where there is none.
std::string_view paragraph_of(std::string_view answer, std::string_view word) {
  for (size_t at = jinja::find_text(answer, word); at != std::string_view::npos;
       at = jinja::find_text(answer, word, at + 1)) {
    const std::string_view behind = answer.substr(at + word.size());
    const std::vector<std::string_view> numbers = digit_runs(behind);
    if (!numbers.empty() && numbers.front().data() == behind.data()) return numbers.front();
  }
  return {};
}

std::optional<double> longbench_paragraphs(std::string_view text, const Question& question,
                                           std::string_view word) {
  double best = 0;
  for (const std::string& answer : question.references) {
    const std::string_view paragraph = paragraph_of(answer, word);
    if (paragraph.empty()) return std::nullopt;
    best = std::max(best, right_numbers(text, paragraph));
  }
  return best;
}

std::optional<double> longbench_retrieval(std::string_view text, const Question& question) {
  return longbench_paragraphs(text, question, "Paragraph ");
}
std::optional<double> longbench_retrieval_zh(std::string_view text, const Question& question) {
  return longbench_paragraphs(text, question, "段落");
}

/// fuzzywuzzy's ratio as it is without python-Levenshtein, whose own is another.
double fuzzy_ratio(std::string_view said, std::string_view answer) {
  if (said == answer) return 1;
  if (said.empty() || answer.empty()) return 0;
  return std::nearbyint(100 * sequence_ratio(characters_of(said), characters_of(answer))) / 100;
}

/// The first line that is no comment and no fence; empty where there is none.
std::string_view line_of_code(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of('\n'), text.size()));
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (line.find_first_of("`#") == std::string_view::npos &&
        line.find("//") == std::string_view::npos)
      return line;
    at = end + 1;
  }
  return {};
}

std::optional<double> code_similarity(std::string_view text, const Question& question) {
  const std::string_view line = line_of_code(text);
  return best_of(question.references,
                 [&](const std::string& answer) { return fuzzy_ratio(line, answer); });
}

/// The letter A to D between two texts, where it stands so first; nothing where it does not.
std::optional<char> letter_between(std::string_view text, std::string_view before,
                                   std::string_view after) {
  for (size_t at = jinja::find_text(text, before); at != std::string_view::npos;
       at = jinja::find_text(text, before, at + 1)) {
    const std::string_view behind = text.substr(at + before.size());
    if (!behind.empty() && behind[0] >= 'A' && behind[0] <= 'D' &&
        behind.substr(1).starts_with(after))
      return behind[0];
  }
  return std::nullopt;
}

/// Y. Bai et al., "LongBench v2", 2024: the letter behind "The correct answer is".
std::optional<char> letter_by_longbench_v2(std::string_view text) {
  const std::string plain = replace_character(text, '*', "");
  if (const auto letter = letter_between(plain, "The correct answer is (", ")")) return letter;
  return letter_between(plain, "The correct answer is ", "");
}

std::optional<double> longbench_v2_choice(std::string_view text, const Question& question) {
  return judged_letter(letter_by_longbench_v2(text), question);
}

}  // namespace

TextFamily longbench() {
  constexpr const char* kRouge = "type:f|tok:pltrdy-1.0.1|exclusive:yes|sent:dot|empty:zero";
  return family_of(
      {share_rule("rouge-l-longbench", "ROUGE-L (LongBench)", "F", kRouge, longbench_rouge),
       share_rule("rouge-l-longbench-first-line", "ROUGE-L (LongBench, first line)", "F",
                  "type:f|tok:pltrdy-1.0.1|exclusive:yes|sent:dot|empty:zero|text:first-line",
                  longbench_rouge_of_line),
       share_rule("classification-longbench", "Classification (LongBench)", "accuracy",
                  "type:share-of-classes|text:first-line-longbench", longbench_classes, "classes"),
       share_rule("retrieval-longbench", "Retrieval (LongBench)", "share",
                  "type:share-of-numbers|answer:paragraph-longbench", longbench_retrieval,
                  "an answer like 'Paragraph 3'"),
       share_rule("retrieval-longbench-zh", "Retrieval (LongBench, Chinese)", "share",
                  "type:share-of-numbers|answer:段落-longbench", longbench_retrieval_zh,
                  "an answer like '段落3'"),
       share_rule("count-longbench", "Count (LongBench)", "share",
                  "type:share-of-numbers-longbench", longbench_count),
       share_rule("code-similarity", "Code edit similarity (LongBench)", "similarity",
                  "type:fuzzywuzzy-0.18.0-difflib|text:line-of-code-longbench", code_similarity),
       accuracy_rule("choice-longbench-v2", "Multiple choice (LongBench v2)",
                     "type:choice|rule:longbench-v2|none:wrong", longbench_v2_choice,
                     "an answer that is one of the options")});
}

}  // namespace elastikv
