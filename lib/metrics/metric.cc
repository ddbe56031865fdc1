#include "metrics/metric.h"

namespace elastikv {
namespace {

/// The clusters of the samples that count.
Clusters clusters_of(const Clusters& clusters, const Measurement& measurement) {
  return measurement.samples.size() == measurement.of ? clusters : clusters.of(measurement.samples);
}

}  // namespace

std::string Metric::signature(SignatureContext context) const {
  context.reference = traits_.reference;
  return signature_of(context);
}

std::optional<PairedDifference> Metric::printed_difference(const MeasuredCell& a,
                                                           const MeasuredCell& b,
                                                           const Bootstrap& bootstrap) const {
  const std::optional<PairedValues> paired = pairs(a, b);
  if (!paired) return std::nullopt;
  return paired_differences({&*paired, 1}, bootstrap).front();
}

bool is_worth_saying(size_t fixed, size_t of) {
  return static_cast<double>(fixed) > 0.01 * static_cast<double>(of);
}

std::vector<std::string> Metric::notes(std::span<const MeasuredCell> /*cells*/) const { return {}; }

std::string Metric::difference_note(const Measurement& /*any_cell*/) const { return ""; }

std::string Metric::category_note(
    std::span<const std::pair<std::string, const Measurement*>> /*categories*/) const {
  return "";
}

std::string Metric::unmoved(const Measurement& /*any_cell*/) const { return ""; }

std::string Metric::amount(const Measurement& /*any_cell*/) const { return ""; }

Measurement MeanMetric::measure(std::span<const MeasuredSample> samples, const Clusters& clusters,
                                const Bootstrap& bootstrap) const {
  Measurement found;
  found.of = samples.size();
  std::vector<const MeasuredSample*> counting;
  for (size_t i = 0; i < samples.size(); ++i) {
    const std::optional<double> number = value(samples[i]);
    if (!number) continue;
    counting.push_back(&samples[i]);
    found.samples.push_back(i);
    found.values.push_back(*number);
    if (!is_defined(samples[i])) found.undefined.push_back(i);
    if (is_fixed(samples[i])) ++found.fixed;
  }
  if (found.values.empty()) return found;
  over_samples(counting, found.values);
  const Clusters counted = clusters_of(clusters, found);
  found.value = estimate_mean(found.values, counted).mean;
  found.interval = bootstrap.mean_interval(found.values, counted, traits().bounds);
  return found;
}

std::optional<PairedValues> MeanMetric::pairs(const MeasuredCell& cell_a,
                                              const MeasuredCell& cell_b) const {
  const Measurement& a = cell_a.measurement;
  const Measurement& b = cell_b.measurement;
  if (a.samples == b.samples) {
    if (a.samples.empty()) return std::nullopt;
    return PairedValues{
        a.values, b.values, {}, clusters_of(cell_a.clusters, a), traits().right_or_wrong};
  }
  PairedValues paired;
  paired.right_or_wrong = traits().right_or_wrong;
  std::vector<size_t> samples;
  for (size_t i = 0, j = 0; i < a.samples.size() && j < b.samples.size();) {
    if (a.samples[i] == b.samples[j]) {
      samples.push_back(a.samples[i]);
      paired.a.push_back(a.values[i++]);
      paired.b.push_back(b.values[j++]);
    } else if (a.samples[i] < b.samples[j]) {
      ++i;
    } else {
      ++j;
    }
  }
  if (samples.empty()) return std::nullopt;
  paired.clusters = cell_a.clusters.of(samples);
  return paired;
}

}  // namespace elastikv
