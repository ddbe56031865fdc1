#include "report/summary.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace elastikv {
namespace {

Mean mean_of(const std::vector<double>& values, const Bootstrap& bootstrap) {
  return {estimate_mean(values).mean, bootstrap.mean_interval(values)};
}

/// The records of the samples that all cells have been given: [cell][sample].
std::vector<std::vector<const Record*>> common_records(const CellGroup& group,
                                                       const SweepHeader::Data& data,
                                                       const RecordTable& records) {
  std::vector<std::vector<const Record*>> found(group.cells.size());
  for (const std::string& sample : data.samples) {
    std::vector<const Record*> row;
    for (const Cell& cell : group.cells) row.push_back(records.find(cell.id, sample));
    if (std::find(row.begin(), row.end(), nullptr) != row.end()) continue;
    for (size_t cell = 0; cell < row.size(); ++cell) found[cell].push_back(row[cell]);
  }
  return found;
}

void add_agreement(const std::vector<const Record*>& records, const Bootstrap& bootstrap,
                   CellSummary& summary) {
  std::vector<double> divergence;
  std::vector<double> match;
  std::vector<double> kl;
  for (const Record* record : records) {
    if (record->agreement) {
      divergence.push_back(static_cast<double>(record->agreement->first_divergence));
      match.push_back(record->agreement->match_rate);
    }
    if (record->outcome.mean_kl) kl.push_back(*record->outcome.mean_kl);
  }
  if (!divergence.empty()) {
    summary.first_divergence = mean_of(divergence, bootstrap);
    summary.match_rate = mean_of(match, bootstrap);
  }
  if (!kl.empty()) summary.mean_kl = mean_of(kl, bootstrap);
}

/// Means over samples of what a cell holds and costs.
void add_sizes(const std::vector<const Record*>& records, CellSummary& summary) {
  const auto count = static_cast<double>(records.size());
  summary.least_kept = std::numeric_limits<int64_t>::max();
  for (const Record* record : records) {
    const CellOutcome& outcome = record->outcome;
    double kept = 0;
    double heads = 0;
    for (const auto& layer : outcome.kept_tokens) {
      for (const int64_t head : layer) {
        kept += static_cast<double>(head);
        heads += 1;
        summary.least_kept = std::min(summary.least_kept, head);
        summary.most_kept = std::max(summary.most_kept, head);
      }
    }
    if (heads > 0) summary.kept_tokens += kept / heads / count;
    summary.prompt_tokens += static_cast<double>(record->prompt_tokens) / count;
    summary.requested_tokens += static_cast<double>(outcome.requested_tokens) / count;
    summary.bytes_prefill += static_cast<double>(outcome.cache_bytes_prefill) / count;
    summary.bytes_end += static_cast<double>(outcome.cache_bytes_end) / count;
    summary.generated_tokens += static_cast<double>(outcome.token_ids.size()) / count;
    summary.finished += (outcome.finished ? 1.0 : 0.0) / count;
    summary.seconds.compression += outcome.seconds.compression / count;
  }
  if (summary.least_kept > summary.most_kept) summary.least_kept = 0;
}

CellSummary summarize_cell(const Cell& cell, const std::vector<const Record*>& records,
                           size_t text_metrics, const Bootstrap& bootstrap) {
  CellSummary summary;
  summary.cell = cell;
  summary.samples = static_cast<int64_t>(records.size());
  for (const Record* record : records) {
    if (!record->failed()) continue;
    if (summary.failed++ == 0) summary.error = record->outcome.error;
  }
  if (!summary.ok()) return summary;

  Perplexity perplexity;
  summary.text_values.resize(text_metrics);
  for (const Record* record : records) {
    perplexity.add({record->outcome.nll_sum, record->outcome.scored_tokens, std::nullopt});
    if (record->text_scores.size() != text_metrics) {
      fail("{}, sample {}: has {} text scores, the sweep {}", record->cell, record->sample,
           record->text_scores.size(), text_metrics);
    }
    for (size_t i = 0; i < text_metrics; ++i) {
      summary.text_values[i].push_back(record->text_scores[i].f);
    }
    summary.undefined_texts += std::any_of(record->text_scores.begin(), record->text_scores.end(),
                                           [](const TextScore& score) { return !score.defined; })
                                   ? 1
                                   : 0;
  }
  summary.perplexity = perplexity.summarize(bootstrap);
  summary.nll = perplexity.nll();
  summary.tokens = perplexity.tokens();
  for (const std::vector<double>& values : summary.text_values) {
    summary.text.push_back(mean_of(values, bootstrap));
  }
  add_agreement(records, bootstrap, summary);
  add_sizes(records, summary);
  return summary;
}

}  // namespace

std::vector<GroupSummary> summarize(const StoredSweep& sweep, const SweepConfig& config) {
  const Bootstrap bootstrap(config.bootstrap.iterations, config.bootstrap.seed);
  std::vector<GroupSummary> groups;
  for (const CellGroup& group : plan_cells(config)) {
    GroupSummary summary;
    summary.group = group;
    const auto data = sweep.header.data.find(group.data.name);
    if (data == sweep.header.data.end()) {
      fail("the sweep's description says nothing of its data set '{}'", group.data.name);
    }
    summary.planned_samples = static_cast<int64_t>(data->second.samples.size());
    const auto records = common_records(group, data->second, sweep.records);
    summary.samples = static_cast<int64_t>(records.front().size());
    const auto count = static_cast<double>(summary.samples);
    for (const Record* record : records.front()) {
      summary.prompt_tokens += static_cast<double>(record->prompt_tokens) / count;
      summary.image_tokens += static_cast<double>(record->image_tokens) / count;
      summary.shared.image += record->shared.image / count;
      summary.shared.prefill += record->shared.prefill / count;
      summary.shared.statistics += record->shared.statistics / count;
      summary.shared.scoring += record->shared.scoring / count;
      summary.shared.generation += record->shared.generation / count;
    }
    for (size_t i = 0; i < group.cells.size(); ++i) {
      summary.cells.push_back(
          summarize_cell(group.cells[i], records[i], config.metrics.text.size(), bootstrap));
    }
    groups.push_back(std::move(summary));
  }
  return groups;
}

}  // namespace elastikv
