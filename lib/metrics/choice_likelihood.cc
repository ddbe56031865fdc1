// "choice-likelihood" and its kin: the option that the model finds likeliest is the right one.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/choice_letters.h"
#include "metrics/text_families.h"
#include "metrics/text_metrics.h"

namespace elastikv {
namespace {

/// By what a log likelihood is divided. These are `acc`, `acc_norm` and `acc_bytes` of
/// lm-evaluation-harness 0.4.13.dev0 (ConfigurableTask.process_results).
struct Normalisation {
  const char* name;                   // of the metric
  const char* label;                  // of its plots
  const char* norm;                   // in its signature
  int64_t OptionLikelihood::*length;  // null: by nothing
};

constexpr std::array<Normalisation, 3> kNormalisations{{
    {kChoiceLikelihood, "Likeliest option", "none", nullptr},
    {kChoiceLikelihoodPerCharacter, "Likeliest option per character", "characters",
     &OptionLikelihood::characters},
    {"choice-likelihood-per-byte", "Likeliest option per byte", "bytes", &OptionLikelihood::bytes},
}};

/// The letter of the likeliest option, of equals the first.
char likeliest(std::span<const OptionLikelihood> options, const Normalisation& by) {
  const auto value = [&](const OptionLikelihood& option) {
    if (by.length == nullptr) return option.log_likelihood;
    return option.log_likelihood / static_cast<double>(option.*by.length);
  };
  return std::max_element(options.begin(), options.end(),
                          [&](const OptionLikelihood& a, const OptionLikelihood& b) {
                            return value(a) < value(b);
                          })
      ->letter;
}

TextForm form_of_likelihood(const Normalisation& by) {
  TextForm form{.name = by.name,
                .label = by.label,
                .mean = "accuracy",
                .definition = std::string("type:choice|rule:log-likelihood|norm:") + by.norm,
                .lacking = "an answer that is one of the options",
                .kept = {{"value", &TextScore::f}}};
  form.reference = TextReference::kDataSet;
  form.right_or_wrong = true;
  form.of_question = true;
  form.of_likelihood = true;
  return form;
}

class ChoiceLikelihood final : public TextMetric {
 public:
  explicit ChoiceLikelihood(const Normalisation& by)
      : TextMetric(form_of_likelihood(by)), by_(by) {}

  /// A text by itself has no likelihood.
  TextScore score_texts(std::span<TextPair> /*texts*/,
                        const Question& /*question*/) const override {
    return {.defined = false};
  }

 private:
  TextScore score_input(const ScoreInput& input) const override {
    const std::vector<OptionLikelihood>& options = input.output.options;
    const std::optional<char> right = right_letter(input.question);
    if (!right || options.empty()) return {.defined = false};
    const double value = likeliest(options, by_) == *right ? 1 : 0;
    return {.precision = value, .recall = value, .f = value};
  }

  const Normalisation& by_;
};

}  // namespace

TextFamily choice_likelihood() {
  TextFamily family;
  for (const Normalisation& by : kNormalisations) family.names.emplace_back(by.name);
  family.make = [](std::string_view name) -> std::shared_ptr<const TextMetric> {
    for (const Normalisation& by : kNormalisations) {
      if (name == by.name) return std::make_shared<ChoiceLikelihood>(by);
    }
    return nullptr;
  };
  family.of_tasks = true;
  return family;
}

}  // namespace elastikv
