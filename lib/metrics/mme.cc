// "mme" and its kin: MME's two questions of an image, and the sums over its kinds of questions.
#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metrics/linearised.h"
#include "metrics/text_families.h"
#include "metrics/yes_no_words.h"

namespace elastikv {
namespace {

// C. Fu et al., "MME: A Comprehensive Evaluation Benchmark for Multimodal Large Language Models",
// 2023.
constexpr std::array<std::string_view, 10> kPerception{
    "existence", "count", "position", "color",   "posters",
    "celebrity", "scene", "landmark", "artwork", "OCR"};
constexpr std::array<std::string_view, 4> kCognition{
    "commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning"};

/// How much accuracy and accuracy+ of a kind of questions give.
constexpr double kPoints = 100;

template <size_t size>
bool holds(const std::array<std::string_view, size>& kinds, std::string_view kind) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}
bool is_perception(std::string_view kind) { return holds(kPerception, kind); }
bool is_cognition(std::string_view kind) { return holds(kCognition, kind); }
bool is_any(std::string_view /*kind*/) { return true; }

std::optional<double> is_right_by_mme(std::string_view text, const Question& question) {
  const YesNo expected = expected_yes_no(question.answer);
  if (expected == YesNo::kOther) return std::nullopt;
  return yes_no_by_mme(text) == expected ? 1 : 0;
}

std::string_view kind_of(const Question& question) {
  return question.categories.empty() ? std::string_view() : question.categories.front();
}

/// The questions about one image that belong to one kind, and how many of them are right.
struct Pair {
  std::string_view kind;
  double questions = 0;
  double right = 0;

  double all_right() const { return right == questions ? 1 : 0; }
  double points() const { return kPoints * (right / questions + all_right()); }
};

/// The samples sorted into pairs: each one's, and all of them.
struct Pairs {
  std::vector<size_t> of_sample;
  std::vector<Pair> pairs;
};

Pairs pairs_of(std::span<const Answered> texts) {
  Pairs found;
  std::map<std::pair<std::string_view, std::string_view>, size_t> places;
  for (const Answered& answered : texts) {
    const std::string_view kind = kind_of(answered.question);
    const auto [place, is_new] =
        places.try_emplace({kind, answered.question.group}, found.pairs.size());
    if (is_new) found.pairs.push_back({.kind = kind});
    Pair& pair = found.pairs[place->second];
    ++pair.questions;
    pair.right += is_right_by_mme(answered.text, answered.question).value_or(0);
    found.of_sample.push_back(place->second);
  }
  return found;
}

void accuracy_plus(std::span<const Answered> texts, std::span<double> values) {
  const Pairs found = pairs_of(texts);
  std::vector<double> numerators;
  std::vector<double> denominators;
  for (const size_t place : found.of_sample) {
    const Pair& pair = found.pairs[place];
    numerators.push_back(pair.all_right() / pair.questions);
    denominators.push_back(1 / pair.questions);
  }
  linearise_ratio(numerators, denominators, values);
}

/// Over the chosen kinds: the mean points of each kind's pairs, summed.
template <bool (*is_chosen)(std::string_view kind)>
void sum_of_kinds(std::span<const Answered> texts, std::span<double> values) {
  const Pairs found = pairs_of(texts);
  struct Kind {
    double pairs = 0;
    double points = 0;

    double mean() const { return points / pairs; }
  };
  std::map<std::string_view, Kind> kinds;
  for (const Pair& pair : found.pairs) {
    if (!is_chosen(pair.kind)) continue;
    Kind& kind = kinds[pair.kind];
    ++kind.pairs;
    kind.points += pair.points();
  }
  double sum = 0;
  for (const auto& [name, kind] : kinds) sum += kind.mean();
  for (size_t i = 0; i < values.size(); ++i) {
    const Pair& pair = found.pairs[found.of_sample[i]];
    const auto kind = kinds.find(pair.kind);
    values[i] = kind == kinds.end()
                    ? 0
                    : (pair.points() - kind->second.mean()) / pair.questions / kind->second.pairs;
  }
  linearise(sum, values);
}

AnswerRule mme_rule(const char* name, const char* mean, const char* value,
                    void (*over_samples)(std::span<const Answered>, std::span<double>),
                    double most) {
  AnswerRule rule{.name = name,
                  .label = "MME",
                  .mean = mean,
                  .definition = std::string("type:yes-no|rule:mme-lmms-eval-0.7.3") + value,
                  .lacking = "an answer yes or no",
                  .score = is_right_by_mme};
  if (over_samples != nullptr) rule.over_samples = over_samples;
  rule.bounds = {0, most};
  return rule;
}

}  // namespace

TextFamily mme() {
  constexpr double kOfKind = 2 * kPoints;
  return family_of(
      {mme_rule("mme", "accuracy", "", nullptr, 1),
       mme_rule("mme-accuracy-plus", "accuracy+", "|value:accuracy-plus", accuracy_plus, 1),
       mme_rule("mme-perception", "perception score", "|value:perception",
                sum_of_kinds<is_perception>, kOfKind * kPerception.size()),
       mme_rule("mme-cognition", "cognition score", "|value:cognition", sum_of_kinds<is_cognition>,
                kOfKind * kCognition.size()),
       mme_rule("mme-total", "total score", "|value:total", sum_of_kinds<is_any>,
                kOfKind * (kPerception.size() + kCognition.size()))});
}

}  // namespace elastikv
