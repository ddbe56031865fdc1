#include "report/comparison.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.h"
#include "base/fields.h"
#include "base/files.h"
#include "report/comparison_checks.h"
#include "report/comparison_protocol.h"
#include "report/comparison_sides.h"
#include "report/measures.h"
#include "report/notes.h"
#include "report/summary.h"

namespace elastikv {
namespace {

constexpr const char* kSweepFile = "sweep.json";
constexpr const char* kBenchFile = "bench.json";

/// A published name with the patterns that the user gave for it, if any.
PublishedName overridden(const PublishedName& name, const std::vector<NameOverride>& overrides) {
  PublishedName result{name.name, {}};
  for (const NameOverride& one : overrides) {
    if (one.published == name.name) result.labels.push_back(one.ours);
  }
  return result.labels.empty() ? name : result;
}

/// One of our strategies that can stand beside a published row.
struct Candidate {
  std::string label;
  StandsFor stands_for = StandsFor::kNothing;
};

/// Those of `labels` that stand for a row: of released code first, then of papers.
std::vector<Candidate> candidates_of(const PublishedStrategy& row,
                                     const std::vector<std::string>& labels,
                                     const std::vector<NameOverride>& overrides) {
  const PublishedName chosen = overridden({row.name, {}}, overrides);
  std::vector<Candidate> released;
  std::vector<Candidate> paper;
  for (const std::string& label : labels) {
    if (!chosen.labels.empty()) {
      if (label_matches_any(chosen.labels, label)) released.push_back({label, StandsFor::kChosen});
      continue;
    }
    const bool as_released = label_matches_any(row.released, label);
    const bool as_described = label_matches_any(row.paper, label);
    if (as_released) {
      released.push_back({label, as_described ? StandsFor::kBoth : StandsFor::kReleased});
    } else if (as_described) {
      paper.push_back({label, StandsFor::kPaper});
    }
  }
  released.insert(released.end(), paper.begin(), paper.end());
  return released;
}

std::string minus_text(const std::string& strategy, const std::string& minus) {
  return minus.empty() ? strategy : fmt::format("{} minus {}", strategy, minus);
}

/// All that a run has beside a published number; one value with a status when it has nothing.
std::vector<ComparedValue> beside(const PublishedTable& table, const PublishedValue& theirs,
                                  const Side& side, const std::vector<NameOverride>& overrides) {
  const std::vector<std::string> labels = side.strategies();
  std::vector<Candidate> minus{{"", StandsFor::kNothing}};
  if (!theirs.minus.empty()) {
    minus = candidates_of(table.strategy(theirs.minus), labels, overrides);
  }
  std::vector<ComparedValue> values;
  bool named = false;
  for (const Candidate& one : candidates_of(table.strategy(theirs.strategy), labels, overrides)) {
    for (const Candidate& other : minus) {
      // A paper's strategy is compared with another paper's, released code with released code.
      const bool chosen =
          one.stands_for == StandsFor::kChosen || other.stands_for == StandsFor::kChosen;
      const bool alike = one.stands_for == other.stands_for || one.stands_for == StandsFor::kBoth ||
                         other.stands_for == StandsFor::kBoth;
      if (!theirs.minus.empty() && !chosen && !alike) continue;
      named = true;
      ComparedValue value;
      value.theirs = theirs;
      value.stands_for = chosen ? StandsFor::kChosen : one.stands_for;
      value.strategy = minus_text(one.label, other.label);
      if (side.fill(one.label, other.label, value)) values.push_back(std::move(value));
    }
  }
  if (!values.empty()) return values;
  ComparedValue nothing;
  nothing.theirs = theirs;
  nothing.status = named ? "cell not in the run" : "not in the run";
  return {nothing};
}

/// What one of our strategies is, in words.
std::string described(const StrategyChoice& strategy) {
  std::string text = fmt::format("`{}` is {}", strategy.label, strategy.preset);
  for (size_t i = 0; i < strategy.overrides.size(); ++i) {
    const auto& [key, value] = strategy.overrides[i];
    text += fmt::format("{} {}: {}", i == 0 ? " with" : ",", key, value);
  }
  return text;
}

/// Those of a sweep's strategies that stand beside a number and are not what their label says.
std::vector<std::string> described_strategies(const SweepConfig& config,
                                              const std::vector<ComparedValue>& values) {
  std::vector<std::string> texts;
  for (const StrategyChoice& strategy : config.strategies) {
    if (strategy.label == strategy.preset && strategy.overrides.empty()) continue;
    const bool used = std::any_of(values.begin(), values.end(), [&](const ComparedValue& value) {
      return value.strategy == strategy.label ||
             value.strategy.starts_with(strategy.label + " minus ") ||
             value.strategy.ends_with(" minus " + strategy.label);
    });
    if (used) texts.push_back(described(strategy));
  }
  return texts;
}

std::vector<ComparedValue> all_beside(const PublishedTable& table, const std::string& model,
                                      const std::string& data, const Side& side,
                                      const std::vector<NameOverride>& overrides) {
  std::vector<ComparedValue> values;
  for (const PublishedValue& theirs : table.values) {
    if (theirs.model != model || theirs.data != data) continue;
    for (ComparedValue& value : beside(table, theirs, side, overrides)) {
      values.push_back(std::move(value));
    }
  }
  return values;
}

/// Whether any of the table's rows is in the run.
bool any_row(const ComparedPair& pair) {
  return std::any_of(pair.values.begin(), pair.values.end(), [](const ComparedValue& value) {
    return value.stands_for != StandsFor::kNothing;
  });
}

ReadRun read_groups(const ComparedRun& run) {
  ReadRun result{run, std::nullopt, {}, {}};
  if (run.sweep) {
    result.config = parse_sweep(run.sweep->header.config,
                                (std::filesystem::path(run.folder) / kSweepFile).string());
    const Bootstrap bootstrap(result.config->bootstrap.iterations, result.config->bootstrap.seed);
    const MetricSet metrics(result.config->metrics);
    result.measures = measures_of(metrics, result.config->bootstrap, result.config->data);
    for (const GroupSource& source : group_sources(*run.sweep, *result.config)) {
      result.groups.push_back(summarize(source, metrics, bootstrap));
    }
  }
  return result;
}

ComparedPair sweep_pair(const PublishedTable& table, const PublishedName& model,
                        const PublishedName& data, const ReadRun& read, const GroupSummary& group,
                        const ComparisonNames& names) {
  ComparedPair pair;
  pair.run = read.run.folder;
  pair.fixture = read.run.fixture();
  pair.published_model = model.name;
  pair.published_data = data.name;
  pair.model = group.group.model_name;
  pair.data = group.group.data.name;
  pair.complete = group.samples == group.planned_samples;
  pair.samples = pair.complete ? fmt::format("{} samples", group.samples)
                               : fmt::format("incomplete: {} of {} samples", group.samples,
                                             group.planned_samples);
  if (group.clusters != group.samples)
    pair.samples += fmt::format(" in {} clusters", group.clusters);
  const std::string unmoved = unmoved_note(group.cells, read.measures);
  if (!unmoved.empty()) pair.samples += fmt::format("; {}, which no strategy changes", unmoved);
  pair.values = all_beside(table, model.name, data.name,
                           *sweep_side(table, group, read.measures, read.config->bootstrap),
                           names.strategies);
  pair.protocol = sweep_protocol(table, model, data, *read.run.sweep, *read.config, group);
  pair.strategies = described_strategies(*read.config, pair.values);
  return pair;
}

void add_sweep_pairs(const ReadRun& read, const ComparisonNames& names,
                     TableComparison& comparison) {
  const PublishedTable& table = comparison.table;
  for (const PublishedName& model : table.models) {
    const PublishedName our_models = overridden(model, names.models);
    for (const PublishedName& data : table.data) {
      const PublishedName our_data = overridden(data, names.data);
      for (const GroupSummary& group : read.groups) {
        if (!label_matches_any(our_models.labels, group.group.model.label) ||
            !label_matches_any(our_data.labels, group.group.data.name)) {
          continue;
        }
        ComparedPair pair = sweep_pair(table, model, data, read, group, names);
        if (any_row(pair)) comparison.pairs.push_back(std::move(pair));
      }
    }
  }
}

void add_bench_pairs(const ReadRun& read, const ComparisonNames& names,
                     TableComparison& comparison) {
  const PublishedTable& table = comparison.table;
  const StoredBench& bench = *read.run.bench;
  for (const PublishedName& model : table.models) {
    const PublishedName our_models = overridden(model, names.models);
    for (const StoredBenchModel& ours : bench.models) {
      if (!label_matches_any(our_models.labels, ours.label)) continue;
      ComparedPair pair;
      pair.run = read.run.folder;
      pair.fixture = read.run.fixture();
      pair.published_model = model.name;
      pair.model = fmt::format("{}-{}{}", ours.label, ours.dtype,
                               ours.device == "cpu" ? "" : "-" + ours.device);
      pair.complete = !bench.interrupted;
      pair.values =
          all_beside(table, model.name, "", *bench_side(table, bench, ours), names.strategies);
      pair.protocol = bench_protocol(table, model, ours);
      if (any_row(pair)) comparison.pairs.push_back(std::move(pair));
    }
  }
}

}  // namespace

NameOverride parse_name_override(std::string_view text, std::string_view option) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size()) {
    fail("{} '{}': needs PUBLISHED=OURS", option, text);
  }
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

std::string ComparedRun::fixture() const {
  if (sweep) {
    const auto note = sweep->header.provenance.find("fixture");
    if (note != sweep->header.provenance.end()) return note->second;
  }
  return bench ? bench->fixture : "";
}

ComparedRun read_compared_run(const std::filesystem::path& folder) {
  ComparedRun run;
  run.folder = folder.string();
  if (path_exists(folder / kSweepFile)) run.sweep = read_stored_sweep(folder);
  if (path_exists(folder / kBenchFile)) {
    run.bench = read_stored_bench(folder / kBenchFile);
  }
  if (!run.sweep && !run.bench) {
    fail("{}: holds neither a sweep ({}) nor a benchmark ({})", run.folder, kSweepFile, kBenchFile);
  }
  return run;
}

std::string_view stands_for_text(StandsFor stands_for) {
  switch (stands_for) {
    case StandsFor::kNothing:
      return "";
    case StandsFor::kReleased:
      return "released code";
    case StandsFor::kPaper:
      return "the paper";
    case StandsFor::kBoth:
      return "both";
    case StandsFor::kChosen:
      return "as told";
  }
  throw InternalError("a way to stand for a row without a text");
}

std::optional<double> ComparedValue::difference() const {
  if (!ours || !theirs.value) return std::nullopt;
  return *ours - *theirs.value;
}

std::optional<double> ComparedValue::ratio() const {
  const bool has_ratio = theirs.minus.empty() && (theirs.measure == kPerplexityMeasure ||
                                                  theirs.measure == kLatencyMeasure ||
                                                  theirs.measure == kThroughputMeasure);
  if (!has_ratio || !ours || !theirs.value || *theirs.value == 0) return std::nullopt;
  return *ours / *theirs.value;
}

std::optional<bool> ComparedValue::within() const {
  if (!interval || !theirs.value) return std::nullopt;
  return interval->low <= theirs.range.high && theirs.range.low <= interval->high;
}

std::vector<TableComparison> compare_with_published(const std::vector<PublishedTable>& tables,
                                                    const std::vector<ComparedRun>& runs,
                                                    const ComparisonNames& names, bool all_tables) {
  std::vector<ReadRun> read;
  read.reserve(runs.size());
  for (const ComparedRun& run : runs) read.push_back(read_groups(run));
  require_known_names(names, tables, read);
  std::vector<TableComparison> comparisons;
  for (const PublishedTable& table : tables) {
    TableComparison comparison{table, {}};
    for (const ReadRun& one : read) {
      if (table.bench && one.run.bench) add_bench_pairs(one, names, comparison);
      if (!table.bench && one.run.sweep) add_sweep_pairs(one, names, comparison);
    }
    if (all_tables) require_match(comparison, read);
    if (!comparison.pairs.empty()) comparisons.push_back(std::move(comparison));
  }
  for (const ReadRun& one : read) require_used(one, tables, comparisons);
  return comparisons;
}

}  // namespace elastikv
