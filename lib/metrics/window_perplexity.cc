// "word_ppl" and "byte_ppl": the likelihood of a text by its words and bytes, which tokenizers do
// not change.
#include <cmath>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "jinja/characters.h"
#include "metrics/intervals.h"
#include "metrics/metric.h"
#include "metrics/metric_choice.h"
#include "metrics/metric_makers.h"
#include "metrics/metric_set.h"
#include "metrics/signature.h"

namespace elastikv {
namespace {

enum class TextUnit { kWords, kBytes };

/// Runs of white space: a text has a word more.
double count_gaps(std::string_view text) {
  double gaps = 0;
  bool in_gap = false;
  for (size_t at = 0; at < text.size(); at += jinja::character_size(text[at])) {
    const bool is_space = jinja::is_space(jinja::character_at(text, at));
    if (is_space && !in_gap) ++gaps;
    in_gap = is_space;
  }
  return gaps;
}

MetricTraits unit_traits(TextUnit unit) {
  const bool words = unit == TextUnit::kWords;
  const char* one = words ? "word" : "byte";
  MetricTraits traits;
  traits.name = words ? kWordPerplexity : kBytePerplexity;
  traits.title = fmt::format("Perplexity of the scored text by {} (lower is better)", one);
  traits.short_title = words ? "Word perplexity" : "Byte perplexity";
  traits.label = fmt::format("Perplexity by {}", one);
  traits.difference_name = fmt::format("log_{}", traits.name);
  traits.difference_title = words ? "Log word perplexity" : "Log byte perplexity";
  traits.reference = "dataset";
  traits.bounds = {.low = 1};
  traits.higher_is_better = false;
  traits.log_from = 4;
  // Strategies are compared by the perplexity of tokens, which differs by a constant power.
  traits.in_pairs = false;
  traits.from_records = true;
  return traits;
}

/// exp(NLL of all windows / words or bytes of their scored text), as lm-evaluation-harness's
/// wikitext task has it of a document: words are what re.split(r"\s+", text) gives, bytes those of
/// UTF-8. The windows of a text follow each other, so that their words are those of one text: white
/// space is counted in all of them, and one word more.
class WindowPerplexity final : public Metric {
 public:
  explicit WindowPerplexity(TextUnit unit) : Metric(unit_traits(unit)), unit_(unit) {}

  Measurement measure(std::span<const MeasuredSample> samples, const Clusters& clusters,
                      const Bootstrap& bootstrap) const override {
    Measurement found;
    found.of = samples.size();
    bool finite = true;
    for (size_t i = 0; i < samples.size(); ++i) {
      const ModelOutput& output = samples[i].output;
      if (output.scored_tokens == 0 || samples[i].question == nullptr) continue;
      const std::string_view text = samples[i].question->answer;
      const double size =
          unit_ == TextUnit::kBytes ? static_cast<double>(text.size()) : count_gaps(text);
      found.values.push_back(output.nll_sum);
      found.weights.push_back(size + (found.samples.empty() && unit_ == TextUnit::kWords ? 1 : 0));
      found.samples.push_back(i);
      finite = finite && std::isfinite(output.nll_sum);
    }
    if (!finite || found.samples.empty()) return found;
    const Clusters scored = clusters.of(found.samples);
    found.value = std::exp(log_perplexity(found.values, found.weights, scored));
    found.interval = bootstrap.perplexity_interval(found.values, found.weights, scored);
    return found;
  }

  std::optional<PairedValues> pairs(const MeasuredCell& a, const MeasuredCell& b) const override {
    if (a.measurement.samples != b.measurement.samples || a.measurement.samples.empty())
      return std::nullopt;
    PairedValues paired;
    paired.a = a.measurement.values;
    paired.b = b.measurement.values;
    paired.weights = a.measurement.weights;
    paired.clusters = a.clusters.of(a.measurement.samples);
    return paired;
  }

 private:
  std::string signature_of(const SignatureContext& context) const override {
    const bool words = unit_ == TextUnit::kWords;
    return metric_signature(
        traits().name, fmt::format("type:exp-nll|per:{}-lm-eval-wikitext", words ? "word" : "byte"),
        words ? "words" : "bytes", context);
  }

  TextUnit unit_;
};

}  // namespace

void make_window_perplexity(const MetricChoice& choice, MetricSet& set) {
  if (!choice.perplexity || !choice.score_last_token || !choice.windows) return;
  set.add(std::make_shared<WindowPerplexity>(TextUnit::kWords));
  set.add(std::make_shared<WindowPerplexity>(TextUnit::kBytes));
}

}  // namespace elastikv
