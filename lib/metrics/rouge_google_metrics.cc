// The metrics of rouge_score: "rouge1" to "rouge9", "rougeL" and "rougeLsum", with its words or
// others ("-stem", "-characters", "-unicode") and, of rougeLsum, its sentences or ours
// ("-sentences").
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "metrics/rouge_google.h"
#include "metrics/text_families.h"

namespace elastikv {
namespace {

constexpr std::string_view kSentences = "-sentences";

/// Other words than the package's, as names end with them and plots call them.
struct OtherWords {
  std::string_view end;
  RougeWords words;
  std::string_view label;
};
constexpr std::array<OtherWords, 3> kOtherWords{
    {{"-stem", RougeWords::kGoogleStem, "stemmed"},
     {"-characters", RougeWords::kCharacters, "characters"},
     {"-unicode", RougeWords::kUnicode, "Unicode words"}}};

enum class GoogleKind { kN, kL, kLsum };

/// What a name asks for.
struct GoogleChoice {
  GoogleKind kind = GoogleKind::kL;
  int n = 0;  // of kN
  RougeWords words = RougeWords::kGoogle;
  RougeSentences sentences = RougeSentences::kLines;  // of kLsum
  std::string label = {};
};

/// False for a name that is not of rouge_score.
bool parse_google(std::string_view name, GoogleChoice& choice) {
  const auto take_end = [&name](std::string_view end) {
    if (!name.ends_with(end)) return false;
    name.remove_suffix(end.size());
    return true;
  };
  std::string forms = "Google";
  const bool sentences = take_end(kSentences);
  if (sentences) choice.sentences = RougeSentences::kMarks;
  for (const OtherWords& other : kOtherWords) {
    if (!take_end(other.end)) continue;
    choice.words = other.words;
    forms += fmt::format(", {}", other.label);
    break;
  }
  if (sentences) forms += ", sentences";
  if (!name.starts_with("rouge")) return false;
  name.remove_prefix(5);
  choice.label = fmt::format("ROUGE-{} ({})", name, forms);
  if (name.size() == 1 && name[0] >= '1' && name[0] <= '9') {
    choice.kind = GoogleKind::kN;
    choice.n = name[0] - '0';
    return !sentences;
  }
  choice.kind = name == "Lsum" ? GoogleKind::kLsum : GoogleKind::kL;
  return name == "Lsum" || (name == "L" && !sentences);
}

std::string_view words_text(RougeWords words) {
  switch (words) {
    case RougeWords::kGoogle:
    case RougeWords::kGoogleStem:
      return "google[a-z0-9]";
    case RougeWords::kCharacters:
      return "characters[LMN]-1";
    case RougeWords::kUnicode:
      return "unicode[LMN]-1";
  }
  throw InternalError("a choice of words without a name");
}

std::string definition_of(const GoogleChoice& choice) {
  std::string definition =
      fmt::format("type:f|tok:{}|stem:{}", words_text(choice.words),
                  choice.words == RougeWords::kGoogleStem ? "nltk-porter" : "no");
  if (choice.kind == GoogleKind::kN) return definition;
  return definition +
         (choice.sentences == RougeSentences::kMarks ? "|lsum:newline+marks-1" : "|lsum:newline");
}

std::string lacking(const GoogleChoice& choice) {
  const bool ascii = choice.words == RougeWords::kGoogle || choice.words == RougeWords::kGoogleStem;
  const std::string_view of = ascii ? " of a-z and 0-9" : "";
  const bool letters = choice.words == RougeWords::kCharacters;
  if (choice.n < 2) return fmt::format("a {}{}", letters ? "letter or digit" : "word", of);
  return fmt::format("{} {}{}", choice.n, letters ? "letters or digits" : "words", of);
}

class GoogleMetric final : public PairMetric {
 public:
  GoogleMetric(std::string_view name, const GoogleChoice& choice)
      : PairMetric(TextForm{.name = std::string(name),
                            .label = choice.label,
                            .mean = "F",
                            .definition = definition_of(choice),
                            .lacking = lacking(choice),
                            .kept = {{"precision", &TextScore::precision},
                                     {"recall", &TextScore::recall},
                                     {"f", &TextScore::f}}}),
        choice_(choice) {}

  TextScore score_pair(TextPair& texts) const override {
    const auto& rouge = texts.as<GoogleRouge>(choice_.words, choice_.sentences);
    return choice_.kind == GoogleKind::kN   ? rouge.rouge_n(choice_.n)
           : choice_.kind == GoogleKind::kL ? rouge.rouge_l()
                                            : rouge.rouge_lsum();
  }

 private:
  GoogleChoice choice_;
};

std::shared_ptr<const TextMetric> make_google(std::string_view name) {
  GoogleChoice choice;
  if (!parse_google(name, choice)) return nullptr;
  return std::make_shared<GoogleMetric>(name, choice);
}

}  // namespace

std::string rouge_variant(std::string_view name, std::string_view words,
                          std::string_view sentences) {
  const bool plain = name.starts_with("rouge") && name.find('-') == std::string_view::npos;
  if (!plain) return "";
  std::string variant(name);
  if (words != "words") variant += fmt::format("-{}", words);
  if (sentences == "marks" && name == "rougeLsum") variant += kSentences;
  return variant;
}

TextFamily google_rouge() {
  return {.names = {"rouge1", "rouge2", "rougeL", "rougeLsum", "rouge1-stem", "rouge2-stem",
                    "rougeL-stem", "rougeLsum-stem"},
          .make = make_google};
}

}  // namespace elastikv
