#include "report/summary.h"

#include <algorithm>
#include <limits>
#include <set>
#include <span>

#include "base/error.h"
#include "sweep/question_of.h"

namespace elastikv {
namespace {

/// The records of some samples: [cell][sample].
using Records = std::vector<std::vector<const Record*>>;

/// Why a sample failed in all cells of one run, its full cache too; empty when it did not. Then the
/// numbers of that run's cells are over the other samples, and so must everyone's be.
std::string failed_everywhere(const GroupSource& source, const std::vector<const Record*>& row) {
  std::map<size_t, const Record*> first;
  std::map<size_t, bool> all_failed;
  for (size_t cell = 0; cell < row.size(); ++cell) {
    const size_t run = source.cells[cell].run;
    first.emplace(run, row[cell]);
    all_failed.emplace(run, row[source.cells[cell].full]->failed());
    all_failed[run] = all_failed[run] && row[cell]->failed();
  }
  for (const auto& [run, failed] : all_failed) {
    if (failed) return first.at(run)->outcome.error;
  }
  return "";
}

/// Sorts the samples into those that all cells have been given, those that are left out and those
/// that are still to come.
Records common_records(const GroupSource& source, GroupSummary& summary) {
  Records found(source.cells.size());
  for (const std::string& sample : source.samples) {
    std::vector<const Record*> row;
    for (const CellSource& cell : source.cells) row.push_back(cell.records->find(cell.id, sample));
    if (std::find(row.begin(), row.end(), nullptr) != row.end()) {
      const auto problem = source.problems.find(sample);
      if (problem == source.problems.end()) {
        ++summary.pending;
      } else {
        summary.left_out.push_back({sample, problem->second});
      }
      continue;
    }
    const std::string error = failed_everywhere(source, row);
    if (!error.empty()) {
      summary.left_out.push_back({sample, error});
      continue;
    }
    summary.sample_ids.push_back(sample);
    for (size_t cell = 0; cell < row.size(); ++cell) found[cell].push_back(row[cell]);
  }
  return found;
}

/// Error when a record lacks what its sweep's metrics need.
void require_scores(const Record& record, const Scorers& scorers,
                    const std::set<std::string>& not_asked) {
  for (size_t i = 0; i < scorers.size(); ++i) {
    if (not_asked.contains(scorers[i]->name())) continue;
    if (!scorers[i]->of_full() || (i < record.scores.size() && record.scores[i])) continue;
    fail("{}, sample {}: has no score by {}, which its sweep lists", record.cell, record.sample,
         scorers[i]->name());
  }
}

/// What samples have in common in all cells, sample by sample.
struct SampleFacts {
  std::vector<std::string> clusters;       // names; empty where a sample has none
  std::vector<const Question*> questions;  // null where none is kept
  std::set<std::string> metrics_of_others;
};

void add_measurements(const std::vector<const Record*>& records, const SampleFacts& facts,
                      const MetricSet& metrics, const Bootstrap& bootstrap, CellSummary& summary) {
  const std::set<std::string>& not_asked = facts.metrics_of_others;
  std::vector<MeasuredSample> samples;
  samples.reserve(records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    require_scores(*records[i], metrics.scorers(), not_asked);
    samples.push_back({records[i]->outcome, records[i]->scores, facts.questions[i]});
  }
  for (const auto& metric : metrics.metrics()) {
    summary.measurements.push_back(not_asked.contains(metric->traits().name)
                                       ? Measurement{.of = samples.size()}
                                       : metric->measure(samples, summary.clusters, bootstrap));
  }
}

/// Means over samples of what a cell holds and costs.
void add_sizes(const std::vector<const Record*>& records, CellSummary& summary) {
  const auto count = static_cast<double>(records.size());
  summary.least_kept = std::numeric_limits<int64_t>::max();
  for (const Record* record : records) {
    const CellOutcome& outcome = record->outcome;
    double kept = 0;
    const std::span<const int32_t> heads = outcome.kept_tokens.all();
    for (const int64_t head : heads) {
      kept += static_cast<double>(head);
      summary.least_kept = std::min(summary.least_kept, head);
      summary.most_kept = std::max(summary.most_kept, head);
    }
    if (!heads.empty()) summary.kept_tokens += kept / static_cast<double>(heads.size()) / count;
    summary.prompt_tokens += static_cast<double>(record->prompt_tokens) / count;
    const int64_t compressed =
        outcome.compressed_tokens > 0 ? outcome.compressed_tokens : record->prompt_tokens;
    summary.compressed_tokens += static_cast<double>(compressed) / count;
    summary.requested_tokens += static_cast<double>(outcome.requested_tokens) / count;
    summary.bytes_prefill += static_cast<double>(outcome.cache_bytes_prefill) / count;
    summary.bytes_end += static_cast<double>(outcome.cache_bytes_end) / count;
    summary.generated_tokens += static_cast<double>(outcome.token_ids.size()) / count;
    summary.finished += (outcome.finished ? 1.0 : 0.0) / count;
    summary.seconds.compression += outcome.seconds.compression / count;
  }
  if (summary.least_kept > summary.most_kept) summary.least_kept = 0;
}

CellSummary summarize_cell(const CellSource& source, const std::vector<const Record*>& records,
                           const SampleFacts& facts, const MetricSet& metrics,
                           const Bootstrap& bootstrap) {
  CellSummary summary;
  summary.cell = source.cell;
  summary.full = source.full;
  summary.samples = static_cast<int64_t>(records.size());
  for (const Record* record : records) {
    if (!record->failed()) continue;
    ++summary.failed;
    summary.oom += record->outcome.failure == Failure::kOutOfMemory ? 1 : 0;
    summary.failures.push_back({record->sample, record->outcome.error});
  }
  if (!summary.ok()) return summary;

  summary.clusters = Clusters(facts.clusters);
  add_measurements(records, facts, metrics, bootstrap, summary);
  add_sizes(records, summary);
  return summary;
}

/// What all cells of a sample share.
void add_shared(const std::vector<const Record*>& records, GroupSummary& summary) {
  const auto count = static_cast<double>(records.size());
  for (const Record* record : records) {
    summary.prompt_tokens += static_cast<double>(record->prompt_tokens) / count;
    summary.image_tokens += static_cast<double>(record->image_tokens) / count;
    summary.shared.image += record->shared.image / count;
    summary.shared.prefill += record->shared.prefill / count;
    summary.shared.statistics += record->shared.statistics / count;
    summary.shared.scoring += record->shared.scoring / count;
    summary.shared.generation += record->shared.generation / count;
  }
}

SampleFacts facts_of(const GroupSource& source, const std::vector<std::string>& samples) {
  SampleFacts facts;
  facts.metrics_of_others = source.group.metrics_of_others;
  for (const std::string& sample : samples) {
    const auto cluster = source.clusters.find(sample);
    facts.clusters.push_back(cluster == source.clusters.end() ? "" : cluster->second);
    const auto question = source.questions.find(sample);
    facts.questions.push_back(question == source.questions.end() ? nullptr : &question->second);
  }
  return facts;
}

/// All cells over some of the samples.
std::vector<CellSummary> summarize_cells(const GroupSource& source,
                                         const std::vector<std::string>& samples,
                                         const MetricSet& metrics, const Bootstrap& bootstrap) {
  const SampleFacts facts = facts_of(source, samples);
  std::vector<CellSummary> cells;
  for (const CellSource& cell : source.cells) {
    std::vector<const Record*> records;
    records.reserve(samples.size());
    for (const std::string& sample : samples)
      records.push_back(cell.records->find(cell.id, sample));
    cells.push_back(summarize_cell(cell, records, facts, metrics, bootstrap));
  }
  return cells;
}

}  // namespace

bool GroupSummary::complete() const {
  return samples == planned_samples &&
         std::all_of(cells.begin(), cells.end(),
                     [](const CellSummary& cell) { return cell.failed == 0; });
}

std::vector<GroupSource> group_sources(const StoredSweep& sweep, const SweepConfig& config) {
  std::vector<GroupSource> groups;
  for (CellGroup& group : plan_cells(config)) {
    GroupSource source;
    const auto data = sweep.header.data.find(group.data.name);
    if (data == sweep.header.data.end()) {
      fail("the sweep's description says nothing of its data set '{}'", group.data.name);
    }
    source.samples = data->second.samples;
    for (const Cell& cell : group.cells) {
      source.cells.push_back({cell, cell.id, &sweep.records, /*run=*/0, /*full=*/0});
    }
    const std::vector<StoredSample>* samples = sweep.samples_of(group.model_name, group.data.name);
    if (samples != nullptr) {
      for (const StoredSample& sample : *samples) {
        if (!sample.problem.empty()) source.problems[sample.id] = sample.problem;
        if (!sample.cluster.empty()) source.clusters[sample.id] = sample.cluster;
        if (!sample.categories.empty()) source.categories[sample.id] = sample.categories;
        if (sample.turn > 0) source.turns[sample.id] = sample.turn;
        source.questions[sample.id] = question_of(sample);
      }
    }
    source.group = std::move(group);
    groups.push_back(std::move(source));
  }
  return groups;
}

GroupSummary summarize(const GroupSource& source, const MetricSet& metrics,
                       const Bootstrap& bootstrap) {
  GroupSummary summary;
  summary.group = source.group;
  summary.planned_samples = static_cast<int64_t>(source.samples.size());
  const Records records = common_records(source, summary);
  summary.samples = static_cast<int64_t>(summary.sample_ids.size());
  add_shared(records.front(), summary);
  const SampleFacts facts = facts_of(source, summary.sample_ids);
  summary.clusters = static_cast<int64_t>(Clusters(facts.clusters).count(facts.clusters.size()));
  for (size_t i = 0; i < source.cells.size(); ++i) {
    summary.cells.push_back(summarize_cell(source.cells[i], records[i], facts, metrics, bootstrap));
  }
  return summary;
}

std::vector<CategorySummary> summarize_categories(const GroupSource& source,
                                                  const GroupSummary& group,
                                                  const MetricSet& metrics,
                                                  const Bootstrap& bootstrap) {
  std::vector<CategorySummary> categories;
  std::map<std::string, std::vector<std::string>> members;
  for (const std::string& sample : group.sample_ids) {
    const auto found = source.categories.find(sample);
    if (found == source.categories.end()) continue;
    for (const std::string& category : found->second) {
      std::vector<std::string>& ids = members[category];
      if (ids.empty()) categories.push_back({category, {}});
      if (ids.empty() || ids.back() != sample) ids.push_back(sample);
    }
  }
  for (CategorySummary& category : categories)
    category.cells = summarize_cells(source, members.at(category.name), metrics, bootstrap);
  return categories;
}

std::vector<TurnSummary> summarize_turns(const GroupSource& source, const GroupSummary& group,
                                         const MetricSet& metrics, const Bootstrap& bootstrap) {
  std::map<int64_t, std::vector<std::string>> members;
  for (const std::string& sample : group.sample_ids) {
    const auto found = source.turns.find(sample);
    if (found != source.turns.end()) members[found->second].push_back(sample);
  }
  std::vector<TurnSummary> turns;
  if (members.size() < 2) return turns;
  for (const auto& [turn, samples] : members)
    turns.push_back({turn, summarize_cells(source, samples, metrics, bootstrap)});
  return turns;
}

}  // namespace elastikv
