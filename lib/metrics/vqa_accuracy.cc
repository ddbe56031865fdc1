// "vqa-accuracy" and its kin: how many of the people who were asked gave the answer.
#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "metrics/text_families.h"
#include "metrics/vqa_answer.h"

namespace elastikv {
namespace {

/// min(matches / 3, 1), averaged over the sets of all answers but one. Kits average by
/// statistics.mean, which is exact until its end.
double accuracy_of(std::string_view text, const Question& question, VqaRules rules) {
  const std::string answer = vqa_answer(text, rules);
  std::vector<bool> match;
  for (const std::string& given : question.answers())
    match.push_back(vqa_answer(given, rules) == answer);
  const auto matches = std::count(match.begin(), match.end(), true);
  double sum = 0;
  for (const bool own : match)
    sum += std::min(1.0, static_cast<double>(matches - (own ? 1 : 0)) / 3);
  return sum / static_cast<double>(match.size());
}

AnswerRule vqa_rule(std::string name, std::string label, VqaRules rules) {
  return {
      .name = std::move(name),
      .label = std::move(label),
      .mean = "accuracy",
      .definition = fmt::format("type:vqa-leave-one-out|norm:{}|votes:3", vqa_rules_name(rules)),
      .lacking = "",
      .score = [rules](std::string_view text, const Question& question) -> std::optional<double> {
        return accuracy_of(text, question, rules);
      },
      .right_or_wrong = false};
}

}  // namespace

TextFamily vqa_accuracy() {
  return family_of({vqa_rule("vqa-accuracy", "VQA", VqaRules::kEvalAi),
                    vqa_rule("vqa-accuracy-vqav2", "VQAv2", VqaRules::kVqaV2),
                    vqa_rule("vqa-accuracy-vlmeval", "VQA (VLMEvalKit)", VqaRules::kVlmEval)});
}

}  // namespace elastikv
