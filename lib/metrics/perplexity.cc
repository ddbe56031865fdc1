#include "metrics/perplexity.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numbers>
#include <numeric>

#include "base/error.h"
#include "metrics/metric_makers.h"

namespace elastikv {
namespace {

std::string_view scored_tokens_text(ScoredTokens scored) {
  switch (scored) {
    case ScoredTokens::kAll:
      return "last:scored";
    case ScoredTokens::kAllButLast:
      return "last:unscored";
    case ScoredTokens::kAllAndEnd:
      return "last:scored|end:scored";
  }
  throw InternalError("a choice of scored tokens without a name");
}

MetricTraits perplexity_traits() {
  MetricTraits traits;
  traits.name = "ppl";
  traits.title = "Perplexity of the expected answers (lower is better)";
  traits.short_title = "Perplexity";
  traits.label = "Perplexity of the answers";
  traits.difference_name = "log_ppl";
  traits.difference_title = "Log-perplexity";
  traits.reference = "dataset";
  traits.bounds = {.low = 1};
  traits.higher_is_better = false;
  traits.log_from = 4;
  traits.minus_full = true;
  traits.more = {"scored_tokens", "ppl_sample_mean", "nll", "bits_per_token", "one_token_answers"};
  return traits;
}

/// Answers with a single scored token that comes from the uncompressed prompt.
size_t blind_answers(const Measurement& measurement) {
  return measurement.more.empty() ? 0 : static_cast<size_t>(measurement.more[4].value_or(0));
}

bool many_blind(const Measurement& measurement) {
  return is_worth_saying(blind_answers(measurement), measurement.samples.size());
}

int64_t token_count(const Measurement& measurement) {
  return static_cast<int64_t>(
      std::accumulate(measurement.weights.begin(), measurement.weights.end(), 0.0));
}

void require_same_answers(const MeasuredCell& a, const MeasuredCell& b) {
  if (a.measurement.samples == b.measurement.samples &&
      a.measurement.weights == b.measurement.weights) {
    return;
  }
  fail("{} and {}: scored different numbers of tokens of the same answers", a.id, b.id);
}

}  // namespace

Perplexity::Perplexity(ScoredTokens scored) : Metric(perplexity_traits()), scored_(scored) {}

std::string Perplexity::signature_of(const SignatureContext& context) const {
  return metric_signature("ppl", fmt::format("type:exp-nll|{}", scored_tokens_text(scored_)),
                          "tokens", context);
}

Measurement Perplexity::measure(std::span<const MeasuredSample> samples, const Clusters& clusters,
                                const Bootstrap& bootstrap) const {
  Measurement found;
  found.of = samples.size();
  bool finite = true;
  double sample_sum = 0;
  int64_t blind = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    const ModelOutput& output = samples[i].output;
    if (output.scored_tokens == 0) continue;
    const auto tokens = static_cast<double>(output.scored_tokens);
    if (output.scored_tokens == 1 && output.compressed_tokens == 0) ++blind;
    found.samples.push_back(i);
    found.values.push_back(output.nll_sum);
    found.weights.push_back(tokens);
    finite = finite && std::isfinite(output.nll_sum);
    sample_sum += std::exp(output.nll_sum / tokens);
  }
  found.more = {static_cast<double>(token_count(found)), std::nullopt, std::nullopt, std::nullopt,
                static_cast<double>(blind)};
  if (!finite || found.samples.empty()) return found;
  const Clusters scored = clusters.of(found.samples);
  const double log = log_perplexity(found.values, found.weights, scored);
  found.value = std::exp(log);
  found.interval = bootstrap.perplexity_interval(found.values, found.weights, scored);
  found.more[1] = sample_sum / static_cast<double>(found.samples.size());
  found.more[2] = log;
  found.more[3] = log / std::numbers::ln2;
  return found;
}

std::optional<PairedValues> Perplexity::pairs(const MeasuredCell& a, const MeasuredCell& b) const {
  require_same_answers(a, b);
  const Measurement& ours = a.measurement;
  // An answer of one token says nothing only where neither cell compressed before it.
  const bool blind = blind_answers(ours) > 0 && blind_answers(b.measurement) > 0;
  PairedValues paired;
  std::vector<size_t> samples;
  for (size_t i = 0; i < ours.samples.size(); ++i) {
    if (blind && ours.weights[i] < 2) continue;
    samples.push_back(ours.samples[i]);
    paired.a.push_back(ours.values[i]);
    paired.b.push_back(b.measurement.values[i]);
    paired.weights.push_back(ours.weights[i]);
  }
  if (samples.empty()) return std::nullopt;
  paired.clusters = a.clusters.of(samples);
  return paired;
}

std::optional<PairedDifference> Perplexity::printed_difference(const MeasuredCell& a,
                                                               const MeasuredCell& b,
                                                               const Bootstrap& bootstrap) const {
  if (!a.measurement.value || !b.measurement.value) return std::nullopt;
  require_same_answers(a, b);
  return paired_perplexity_difference(a.measurement.values, b.measurement.values,
                                      a.measurement.weights, bootstrap,
                                      a.clusters.of(a.measurement.samples));
}

std::vector<std::string> Perplexity::notes(std::span<const MeasuredCell> cells) const {
  std::vector<std::string> notes;
  if (cells.empty()) return notes;
  const Measurement& any = cells.front().measurement;  // answers and tokens are the same in all
  // Where all strategies compress before the answer's first token, only the full cache, which is
  // the first, has it from an uncompressed prompt.
  const bool all_see =
      cells.size() > 1 && std::all_of(cells.begin() + 1, cells.end(), [](const MeasuredCell& cell) {
        return blind_answers(cell.measurement) == 0;
      });
  const std::string blind = all_see ? "" : unmoved(any);
  if (!blind.empty()) {
    notes.push_back(blind +
                    ": the uncompressed prompt's own logits score it, so that every strategy "
                    "equals the full cache there. They are left out of paired differences. "
                    "`compress_at: before_last_token` compresses before it; "
                    "`metrics.perplexity.score_end: true` scores the end of an answer as well.");
  }
  if (any.samples.size() < any.of) {
    notes.push_back(fmt::format(
        "{} of {} answers have no scored token (the last one is not scored) and count nothing.",
        any.of - any.samples.size(), any.of));
  }
  return notes;
}

std::string Perplexity::difference_note(const Measurement& any_cell) const {
  const std::string ratio = "exp of a number is a ratio of perplexities.";
  const size_t blind = blind_answers(any_cell);
  if (blind == 0) return ratio;
  return ratio + fmt::format(" {} of {} answers have one scored token and are left out.", blind,
                             any_cell.samples.size());
}

std::string Perplexity::category_note(
    std::span<const std::pair<std::string, const Measurement*>> categories) const {
  std::string text;
  for (const auto& [name, any] : categories) {
    if (!many_blind(*any)) continue;
    text += fmt::format("{}{} {} of {}", text.empty() ? "" : ", ", name, blind_answers(*any),
                        any->samples.size());
  }
  return text.empty() ? ""
                      : "Answers with one scored token, which no strategy changes: " + text + ".";
}

std::string Perplexity::unmoved(const Measurement& any_cell) const {
  if (!many_blind(any_cell)) return "";
  const size_t blind = blind_answers(any_cell);
  const size_t scored = any_cell.samples.size();
  return fmt::format("{} of {} answers ({:.1f} %) have one scored token", blind, scored,
                     100 * static_cast<double>(blind) / static_cast<double>(scored));
}

std::string Perplexity::amount(const Measurement& any_cell) const {
  const int64_t tokens = token_count(any_cell);
  return tokens > 0 ? fmt::format("{} scored tokens", tokens) : "";
}

void make_perplexity(const MetricChoice& choice, MetricSet& set) {
  if (!choice.perplexity) return;
  set.add(std::make_shared<Perplexity>(choice.score_end          ? ScoredTokens::kAllAndEnd
                                       : choice.score_last_token ? ScoredTokens::kAll
                                                                 : ScoredTokens::kAllButLast));
}

}  // namespace elastikv
