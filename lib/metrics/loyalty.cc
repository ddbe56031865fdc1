// "loyalty": the share of samples whose text is the full cache's own.
#include <memory>
#include <string>
#include <string_view>

#include "base/utf8.h"
#include "jinja/characters.h"
#include "metrics/text_families.h"

namespace elastikv {
namespace {

TextForm loyalty_form() {
  TextForm form{.name = "loyalty",
                .label = "Loyalty",
                .mean = "share of equal answers",
                .definition = "type:equal-text|norm:strip",
                .lacking = "",
                .kept = {{"value", &TextScore::f}}};
  form.reference = TextReference::kFullCache;
  form.right_or_wrong = true;
  form.of_full = false;
  return form;
}

TextScore score_of(std::string_view reference, std::string_view candidate) {
  // A text may end within a character.
  const std::string expected = replace_broken_utf8(reference);
  const std::string text = replace_broken_utf8(candidate);
  const double equal = jinja::strip(expected) == jinja::strip(text) ? 1 : 0;
  return {.precision = equal, .recall = equal, .f = equal, .defined = true};
}

/// EffiVLM-Bench's loyalty: Z. Wang et al., "EffiVLM-Bench", 2025.
class Loyalty final : public PairMetric {
 public:
  Loyalty() : PairMetric(loyalty_form()) {}

  TextScore score_pair(TextPair& texts) const override {
    return score_of(texts.reference(), texts.candidate());
  }

 private:
  /// Whatever other texts are compared with.
  TextScore score_input(const ScoreInput& input) const override {
    return score_of(input.full.text, input.output.text);
  }
};

}  // namespace

TextFamily loyalty() {
  return {.names = {"loyalty"},
          .make = [](std::string_view name) -> std::shared_ptr<const TextMetric> {
            if (name != "loyalty") return nullptr;
            return std::make_shared<Loyalty>();
          },
          .of_tasks = true};
}

}  // namespace elastikv
