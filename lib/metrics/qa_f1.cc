// "qa-f1" and its kin: words that a text shares with an answer.
#include "metrics/qa_f1.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>

#include "base/utf8.h"
#include "jinja/characters.h"
#include "metrics/long_texts.h"
#include "metrics/python_strings.h"
#include "metrics/text_families.h"

namespace elastikv {
namespace {

/// As LongBench and InfiniteBench list it beside ASCII's.
constexpr std::u32string_view kChinesePunctuation =
    U"！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､、〃》「」『』【】〔"
    U"〕〖〗"
    U"〘〙〚〛〜〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏.";

/// re.sub(r"\b(a|an|the)\b", " ", text) of a text without underscores: words are runs of letters
/// and digits.
std::string without_articles(std::string_view text) {
  std::string rest;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && jinja::is_alnum(jinja::character_at(text, end)))
      end += jinja::character_size(text[end]);
    const std::string_view word = text.substr(at, end - at);
    if (word.empty()) {
      end += jinja::character_size(text[at]);
      rest += text.substr(at, end - at);
    } else if (word == "a" || word == "an" || word == "the") {
      rest += ' ';
    } else {
      rest += word;
    }
    at = end;
  }
  return rest;
}

template <std::vector<std::string> (*read)(std::string_view)>
double best_f1(std::string_view text, const Question& question) {
  const std::vector<std::string> said = read(text);
  return best_of(question.references,
                 [&](const std::string& answer) { return bag_f1(said, read(answer)); });
}

std::optional<double> by_words(std::string_view text, const Question& question) {
  return best_f1<answer_words>(text, question);
}
std::optional<double> by_words_of_first_line(std::string_view text, const Question& question) {
  return best_f1<answer_words>(first_line(text), question);
}
std::optional<double> by_characters(std::string_view text, const Question& question) {
  return best_f1<answer_characters>(text, question);
}

}  // namespace

std::vector<std::string> answer_words(std::string_view text) {
  const std::string rest = without_articles(without_punctuation(jinja::lower(text)));
  const std::vector<std::string_view> words = python_words(rest);
  return {words.begin(), words.end()};
}

std::vector<std::string> answer_characters(std::string_view text) {
  std::vector<std::string> characters;
  for (const char32_t character : to_characters(without_punctuation(jinja::lower(text)))) {
    if (jinja::is_space(character) ||
        kChinesePunctuation.find(character) != std::u32string_view::npos)
      continue;
    append_utf8(characters.emplace_back(), character);
  }
  return characters;
}

double bag_f1(std::vector<std::string> said, std::vector<std::string> expected) {
  std::sort(said.begin(), said.end());
  std::sort(expected.begin(), expected.end());
  std::vector<std::string> common;
  std::set_intersection(said.begin(), said.end(), expected.begin(), expected.end(),
                        std::back_inserter(common));
  if (common.empty()) return 0;
  const auto shared = static_cast<double>(common.size());
  const double precision = shared / static_cast<double>(said.size());
  const double recall = shared / static_cast<double>(expected.size());
  return 2 * precision * recall / (precision + recall);
}

/// LongBench's (Y. Bai et al., 2024), which is that of SQuAD (P. Rajpurkar et al., 2016), and of
/// InfiniteBench (X. Zhang et al., 2024).
TextFamily qa_f1() {
  return family_of({share_rule("qa-f1", "QA F1", "F1",
                               "type:f1|norm:lower,punctuation,articles-squad", by_words),
                    share_rule("qa-f1-first-line", "QA F1 (first line)", "F1",
                               "type:f1|norm:lower,punctuation,articles-squad|text:first-line",
                               by_words_of_first_line),
                    share_rule("qa-f1-characters", "QA F1 (characters)", "F1",
                               "type:f1|norm:lower,punctuation,spaces-infinitebench|tok:characters",
                               by_characters)});
}

}  // namespace elastikv
