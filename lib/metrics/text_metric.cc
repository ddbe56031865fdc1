#include "metrics/text_metric.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace elastikv {
namespace {

std::vector<ScoreField> score_fields(const std::vector<TextField>& kept) {
  std::vector<ScoreField> fields;
  fields.reserve(kept.size() + 1);
  for (const TextField& field : kept) fields.push_back({field.key, ScoreField::Kind::kNumber});
  fields.push_back({"defined", ScoreField::Kind::kTruth});
  return fields;
}

}  // namespace

TextMetric::TextMetric(TextForm form)
    : Scorer("scores", form.name, score_fields(form.kept), form.of_full), form_(std::move(form)) {
  if (form_.kept.empty()) return;
  const auto averaged =
      std::find_if(form_.kept.begin(), form_.kept.end(),
                   [](const TextField& field) { return field.number == &TextScore::f; });
  ELASTIKV_ASSERT(averaged != form_.kept.end(), "{}: records do not keep its value", form_.name);
  value_ = static_cast<size_t>(averaged - form_.kept.begin());
}

std::string TextMetric::signature(const SignatureContext& context) const {
  std::string definition = form_.definition;
  if (form_.of_likelihood && !context.option_text.empty())
    definition += "|options:" + context.option_text;
  return metric_signature(form_.name, definition, form_.of_all ? "samples" : "mean", context);
}

TextScore TextMetric::score_input(const ScoreInput& input) const {
  return score_texts(input.texts, input.question);
}

Score TextMetric::score(const ScoreInput& input) const {
  const TextScore found = score_input(input);
  Score score{};
  for (size_t i = 0; i < form_.kept.size(); ++i) score[i] = found.*form_.kept[i].number;
  score[form_.kept.size()] = found.defined ? 1 : 0;
  return score;
}

TextScore PairMetric::score_texts(std::span<TextPair> texts, const Question& /*question*/) const {
  ELASTIKV_ASSERT(!texts.empty(), "a text is scored without a reference");
  TextScore best = score_pair(texts.front());
  for (TextPair& pair : texts.subspan(1)) {
    const TextScore other = score_pair(pair);
    // A score of 0 that stands for none (a reference without words) gives way to a real one.
    if (other.f > best.f || (other.defined && !best.defined)) best = other;
  }
  return best;
}

}  // namespace elastikv
