// "yes-no" and its kin: questions of yes or no, as POPE's, by two kits' rules.
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "metrics/linearised.h"
#include "metrics/text_families.h"
#include "metrics/yes_no_words.h"

namespace elastikv {
namespace {

/// How a kit judges.
struct YesNoRule {
  const char* end;   // of the metrics' names
  const char* kit;   // in labels
  const char* rule;  // in signatures
  YesNo (*read)(std::string_view text);
  /// Whether neither yes nor no to a question whose answer is yes is a miss for recall.
  bool other_is_missed;
};

/// What a sample adds to the sums that a ratio is made of.
struct Parts {
  double numerator = 0;
  double denominator = 0;
};
using PartsOf = Parts (*)(YesNo said, YesNo expected, const YesNoRule& rule);

double one_if(bool holds) { return holds ? 1 : 0; }

bool is_missed(YesNo said, const YesNoRule& rule) {
  return said == YesNo::kNo || (said == YesNo::kOther && rule.other_is_missed);
}

Parts precision_of(YesNo said, YesNo expected, const YesNoRule& /*rule*/) {
  const bool yes = said == YesNo::kYes;
  return {one_if(yes && expected == YesNo::kYes), one_if(yes)};
}

Parts recall_of(YesNo said, YesNo expected, const YesNoRule& rule) {
  if (expected != YesNo::kYes) return {};
  return {one_if(said == YesNo::kYes), one_if(said == YesNo::kYes || is_missed(said, rule))};
}

/// 2 hits of 2 hits, false alarms and misses: the harmonic mean of precision and recall.
Parts f1_of(YesNo said, YesNo expected, const YesNoRule& rule) {
  const Parts precision = precision_of(said, expected, rule);
  const Parts recall = recall_of(said, expected, rule);
  return {2 * recall.numerator, precision.denominator + recall.denominator};
}

Parts share_of(YesNo said, YesNo /*expected*/, const YesNoRule& /*rule*/) {
  return {one_if(said == YesNo::kYes), 1};
}

std::optional<double> is_right(std::string_view text, const Question& question,
                               const YesNoRule& rule) {
  const YesNo expected = expected_yes_no(question.answer);
  if (expected == YesNo::kOther) return std::nullopt;
  return one_if(rule.read(text) == expected);
}

void over_all(std::span<const Answered> texts, std::span<double> values, const YesNoRule& rule,
              PartsOf parts_of) {
  std::vector<double> numerators;
  std::vector<double> denominators;
  for (const Answered& answered : texts) {
    const YesNo expected = expected_yes_no(answered.question.answer);
    const Parts parts =
        expected == YesNo::kOther ? Parts{} : parts_of(rule.read(answered.text), expected, rule);
    numerators.push_back(parts.numerator);
    denominators.push_back(parts.denominator);
  }
  linearise_ratio(numerators, denominators, values);
}

struct Measured {
  const char* name;  // behind "yes-no"
  const char* mean;
  PartsOf parts_of;  // null: the mean of what is right
};
constexpr Measured kMeasured[]{{"", "accuracy", nullptr},
                               {"-precision", "precision", precision_of},
                               {"-recall", "recall", recall_of},
                               {"-f1", "F1", f1_of},
                               {"-share", "share of yes", share_of}};

constexpr YesNoRule kRules[]{
    {"", "POPE", "pope-lmms-eval-0.7.3", yes_no_by_pope, /*other_is_missed=*/false},
    {"-vlmeval", "VLMEvalKit", "vlmevalkit-0.0.20-exact", yes_no_by_vlmeval,
     /*other_is_missed=*/true}};

AnswerRule yes_no_rule(const YesNoRule& rule, const Measured& measured) {
  AnswerRule made{.name = fmt::format("yes-no{}{}", measured.name, rule.end),
                  .label = fmt::format("Yes or no ({})", rule.kit),
                  .mean = measured.mean,
                  .definition = fmt::format("type:yes-no|rule:{}", rule.rule),
                  .lacking = "an answer yes or no",
                  .score = [&rule](std::string_view text, const Question& question) {
                    return is_right(text, question, rule);
                  }};
  if (measured.parts_of != nullptr) {
    made.definition += fmt::format("|value:{}", measured.name + 1);
    made.over_samples = [&rule, parts_of = measured.parts_of](std::span<const Answered> texts,
                                                              std::span<double> values) {
      over_all(texts, values, rule, parts_of);
    };
  }
  return made;
}

}  // namespace

TextFamily yes_no() {
  std::vector<AnswerRule> rules;
  for (const YesNoRule& rule : kRules) {
    for (const Measured& measured : kMeasured) rules.push_back(yes_no_rule(rule, measured));
  }
  return family_of(std::move(rules));
}

}  // namespace elastikv
