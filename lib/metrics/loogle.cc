// LooGLE's rules that need no model: "cloze-exact-loogle", "bleu-1-loogle" and so on.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "metrics/linearised.h"
#include "metrics/python_dict.h"
#include "metrics/python_strings.h"
#include "metrics/rouge_pltrdy.h"
#include "metrics/text_families.h"

namespace elastikv {
namespace {

// J. Li et al., "LooGLE: Can Long-Context Language Models Understand Long Contexts?", 2024. Of
// several answers the best score counts.

/// An empty text is read as this word.
std::string_view said_or_none(std::string_view text) { return text.empty() ? "None" : text; }

using Ngram = std::vector<std::string_view>;

std::map<Ngram, size_t> count_ngrams(const std::vector<std::string_view>& words, size_t size) {
  std::map<Ngram, size_t> counts;
  for (size_t i = 0; i + size <= words.size(); ++i) {
    const auto begin = words.begin() + static_cast<std::ptrdiff_t>(i);
    ++counts[Ngram(begin, begin + static_cast<std::ptrdiff_t>(size))];
  }
  return counts;
}

/// nltk's sentence_bleu with all weight on n-grams of one size, without smoothing: the share of the
/// text's n-grams that are in the answer, times the penalty of a text that is shorter. Nothing in
/// common scores 0, also where no word is.
double bleu_of_size(std::string_view text, std::string_view answer, size_t size) {
  const std::vector<std::string_view> said = python_words(text);
  const std::vector<std::string_view> expected = python_words(answer);
  const auto counts = count_ngrams(said, size);
  const auto allowed = count_ngrams(expected, size);
  size_t common = 0;
  for (const auto& [ngram, count] : counts) {
    const auto found = allowed.find(ngram);
    if (found != allowed.end()) common += std::min(count, found->second);
  }
  if (common == 0) return 0;
  const double precision =
      static_cast<double>(common) / static_cast<double>(said.size() + 1 - size);
  if (said.size() > expected.size()) return precision;
  return precision *
         std::exp(1 - static_cast<double>(expected.size()) / static_cast<double>(said.size()));
}

template <size_t size>
std::optional<double> loogle_bleu(std::string_view text, const Question& question) {
  return best_of(question.references, [&](const std::string& answer) {
    return bleu_of_size(said_or_none(text), answer, size);
  });
}

/// The recall of rouge 1.0.1, which is what LooGLE reports; n = 0: longest common subsequences.
template <int n>
std::optional<double> loogle_rouge(std::string_view text, const Question& question) {
  return best_of(question.references, [&](const std::string& answer) {
    const PltrdyRouge rouge(answer, said_or_none(text));
    return (n == 0 ? rouge.rouge_l() : rouge.rouge_n(n)).recall;
  });
}

bool share_a_word(std::string_view a, std::string_view b) {
  const std::vector<std::string_view> words = python_words(a);
  const std::vector<std::string_view> others = python_words(b);
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return std::find(others.begin(), others.end(), word) != others.end();
  });
}

/// How many of a question's blanks are filled with its answers, which are those of <mask-0>,
/// <mask-1> and so on.
double filled_blanks(std::string_view text, const Question& question, bool exact) {
  const auto said = parse_text_dict(said_or_none(text));
  if (!said) return 0;
  const std::vector<std::string>& answers = question.answers();
  double right = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    const auto found = said->find(fmt::format("<mask-{}>", i));
    if (found == said->end()) continue;
    right +=
        (exact ? found->second == answers[i] : share_a_word(found->second, answers[i])) ? 1 : 0;
  }
  return right;
}

template <bool exact>
std::optional<double> share_of_blanks(std::string_view text, const Question& question) {
  return filled_blanks(text, question, exact) / static_cast<double>(question.answers().size());
}

/// Of all blanks together.
template <bool exact>
void filled_of_all(std::span<const Answered> texts, std::span<double> values) {
  std::vector<double> right;
  std::vector<double> blanks;
  for (const Answered& answered : texts) {
    right.push_back(filled_blanks(answered.text, answered.question, exact));
    blanks.push_back(static_cast<double>(answered.question.answers().size()));
  }
  linearise_ratio(right, blanks, values);
}

template <bool exact>
AnswerRule cloze_rule() {
  constexpr const char* kKind = exact ? "exact" : "partial";
  AnswerRule rule =
      share_rule(fmt::format("cloze-{}-loogle", kKind), fmt::format("Cloze, {} (LooGLE)", kKind),
                 "share of blanks", fmt::format("type:{}|text:python-dict-loogle", kKind),
                 share_of_blanks<exact>);
  rule.over_samples = filled_of_all<exact>;
  return rule;
}

}  // namespace

TextFamily loogle() {
  const auto bleu = [](int n, auto score) {
    return share_rule(fmt::format("bleu-{}-loogle", n), fmt::format("BLEU-{} (LooGLE)", n), "BLEU",
                      fmt::format("type:bleu|n:{}|tok:spaces|smoothing:none-nltk", n), score);
  };
  const auto rouge = [](const char* kind, auto score) {
    return share_rule(fmt::format("rouge-{}-loogle", kind), fmt::format("ROUGE-{} (LooGLE)", kind),
                      "recall", "type:recall|tok:pltrdy-1.0.1|exclusive:yes|sent:dot", score);
  };
  return family_of({bleu(1, loogle_bleu<1>), bleu(4, loogle_bleu<4>), rouge("1", loogle_rouge<1>),
                    rouge("2", loogle_rouge<2>), rouge("l", loogle_rouge<0>), cloze_rule<true>(),
                    cloze_rule<false>()});
}

}  // namespace elastikv
