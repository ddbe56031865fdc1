#include "metrics/answer_rule.h"

#include <deque>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "base/utf8.h"

namespace elastikv {
namespace {

TextForm form_of(const AnswerRule& rule) {
  TextForm form{.name = rule.name,
                .label = rule.label,
                .mean = rule.mean,
                .definition = rule.definition,
                .lacking = rule.lacking,
                .kept = {}};
  if (rule.score) form.kept = {{"value", &TextScore::f}};
  form.reference = TextReference::kDataSet;
  form.of_all = rule.over_samples != nullptr;
  if (form.of_all) {
    form.title = fmt::format("{} against the answers ({} of all samples)", rule.name, rule.mean);
  }
  form.right_or_wrong = rule.right_or_wrong && !form.of_all;
  form.of_question = true;
  form.bounds = rule.bounds;
  return form;
}

class RuleMetric final : public TextMetric {
 public:
  explicit RuleMetric(const AnswerRule& rule) : TextMetric(form_of(rule)), rule_(rule) {}

  TextScore score_texts(std::span<TextPair> texts, const Question& question) const override {
    ELASTIKV_ASSERT(!texts.empty(), "a text is scored without a reference");
    if (!rule_.score) return {};
    const std::string_view text = texts.front().candidate();
    // A model's text may end within a character.
    const std::optional<double> score = is_valid_utf8(text)
                                            ? rule_.score(text, question)
                                            : rule_.score(replace_broken_utf8(text), question);
    const double value = score.value_or(0);
    return {.precision = value, .recall = value, .f = value, .defined = score.has_value()};
  }

  void over_samples(std::span<const Answered> texts, std::span<double> values) const override {
    if (!rule_.over_samples) return;
    std::deque<std::string> replaced;  // stay where they are
    std::vector<Answered> whole;
    whole.reserve(texts.size());
    for (const Answered& answered : texts) {
      std::string_view text = answered.text;
      if (!is_valid_utf8(text)) text = replaced.emplace_back(replace_broken_utf8(text));
      whole.push_back({text, answered.question});
    }
    rule_.over_samples(whole, values);
  }

 private:
  AnswerRule rule_;
};

}  // namespace

TextFamily family_of(std::vector<AnswerRule> rules) {
  TextFamily family;
  for (const AnswerRule& rule : rules) family.names.push_back(rule.name);
  family.make = [rules =
                     std::move(rules)](std::string_view name) -> std::shared_ptr<const TextMetric> {
    for (const AnswerRule& rule : rules) {
      if (rule.name == name) return std::make_shared<RuleMetric>(rule);
    }
    return nullptr;
  };
  family.of_tasks = true;
  return family;
}

}  // namespace elastikv
