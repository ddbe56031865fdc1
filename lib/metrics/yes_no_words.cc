#include "metrics/yes_no_words.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "jinja/characters.h"
#include "metrics/python_strings.h"
#include "metrics/vqa_answer.h"

namespace elastikv {
namespace {

YesNo word_of(std::string_view text) {
  if (text == "yes") return YesNo::kYes;
  return text == "no" ? YesNo::kNo : YesNo::kOther;
}

std::string lower_without_ends(std::string_view text) {
  const std::string lowered = jinja::lower(text);
  return std::string(jinja::strip(lowered));
}

}  // namespace

YesNo yes_no_by_pope(std::string_view text) { return word_of(lower_without_ends(text)); }

YesNo yes_no_by_vlmeval(std::string_view text) {
  const std::string said = vqa_without_marks(jinja::lower(text), VqaRules::kVlmEval);
  const std::vector<std::string_view> words = python_words(said);
  const auto has = [&](std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  const bool yes = has("yes");
  const bool no = has("no");
  if (yes == no) return YesNo::kOther;
  return yes ? YesNo::kYes : YesNo::kNo;
}

YesNo yes_no_by_mme(std::string_view text) {
  const std::string said = replace_character(lower_without_ends(text), '.', "");
  if (jinja::count_characters(said) == 1)
    return said == "y" ? YesNo::kYes : said == "n" ? YesNo::kNo : YesNo::kOther;
  constexpr size_t kStart = 4;
  const std::u32string start = characters_of(said).substr(0, kStart);
  if (start.find(U"yes") != std::u32string::npos) return YesNo::kYes;
  return start.find(U"no") != std::u32string::npos ? YesNo::kNo : YesNo::kOther;
}

YesNo expected_yes_no(std::string_view answer) {
  return word_of(replace_character(lower_without_ends(answer), '.', ""));
}

}  // namespace elastikv
