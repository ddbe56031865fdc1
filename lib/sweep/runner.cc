#include "sweep/runner.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <future>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "base/files.h"
#include "base/version.h"
#include "metrics/metric_set.h"
#include "sweep/cell_batches.h"
#include "sweep/details.h"
#include "sweep/folder_lease.h"
#include "sweep/group_recorder.h"
#include "sweep/plan.h"
#include "sweep/preparation.h"
#include "sweep/rank_run.h"
#include "sweep/record_writer.h"
#include "sweep/records.h"
#include "sweep/revisions.h"
#include "sweep/run_groups.h"
#include "sweep/sweep_data.h"

namespace elastikv {
namespace {

/// Running perplexities for the progress line: the full cache's and the first compressed cell's.
class RunningPerplexity {
 public:
  explicit RunningPerplexity(const CellGroup& group) {
    for (const Cell& cell : group.cells) {
      const bool first_compressed = !cell.is_full() && shown_.size() == 1;
      if (shown_.empty() || first_compressed) {
        std::string name = cell.is_full() ? "full" : cell.strategy.label;
        if (!cell.is_full()) name += "/" + cell.budget.text();
        shown_.push_back({cell.id, std::move(name)});
      }
    }
  }
  void add(const Record& record) {
    for (Shown& shown : shown_) {
      if (shown.cell != record.cell || record.failed()) continue;
      shown.nll += record.outcome.nll_sum;
      shown.tokens += record.outcome.scored_tokens;
    }
  }
  std::string text() const {
    std::string text;
    for (const Shown& shown : shown_) {
      if (shown.tokens == 0) continue;
      text += fmt::format("{}{} {:.3f}", text.empty() ? "ppl " : ", ", shown.name,
                          std::exp(shown.nll / static_cast<double>(shown.tokens)));
    }
    return text;
  }

 private:
  struct Shown {
    std::string cell;
    std::string name;
    double nll = 0;
    int64_t tokens = 0;
  };
  std::vector<Shown> shown_;
};

/// Open samples, those of one context together where the first of them is.
std::vector<std::vector<size_t>> by_context(const std::deque<size_t>& open,
                                            const std::vector<std::string>& contexts) {
  std::vector<std::vector<size_t>> all;
  std::unordered_map<std::string, size_t> known;
  for (const size_t place : open) {
    if (!contexts.empty() && !contexts[place].empty()) {
      const auto [there, is_new] = known.try_emplace(contexts[place], all.size());
      if (!is_new) {
        all[there->second].push_back(place);
        continue;
      }
    }
    all.push_back({place});
  }
  return all;
}

/// Lets an evaluator keep what samples share while it lives.
class ContextShared {
 public:
  explicit ContextShared(SampleEvaluator& evaluator) : evaluator_(evaluator) {
    evaluator_.begin_context();
  }
  ~ContextShared() { evaluator_.end_context(); }
  ContextShared(const ContextShared&) = delete;
  ContextShared& operator=(const ContextShared&) = delete;

 private:
  SampleEvaluator& evaluator_;
};

bool same_result(const Record& a, const Record& b) {
  return a.outcome.nll == b.outcome.nll && a.outcome.nll_sum == b.outcome.nll_sum &&
         a.outcome.token_ids == b.outcome.token_ids && a.outcome.mean_kl == b.outcome.mean_kl &&
         a.outcome.options == b.outcome.options;
}

/// What has to be written of a sample that was evaluated (again): the records that are missing or
/// had failed. If a record that is there disagrees with its repetition, the engine does not repeat
/// itself to the bit, and all are written, so that the cells of a sample stay comparable.
std::vector<Record> to_append(const RecordTable& stored, std::vector<Record> fresh) {
  std::vector<Record> missing;
  for (const Record& record : fresh) {
    const Record* before = stored.find(record.cell, record.sample);
    if (before == nullptr || before->failed()) {
      missing.push_back(record);
    } else if (record.failed() || !same_result(*before, record)) {
      return fresh;
    }
  }
  return missing;
}

/// What the output folder is about, by data set.
using KeptData = std::map<std::string, const DataSet*>;

SweepHeader make_header(const SweepConfig& config, const RunOptions& options,
                        const KeptData& data) {
  SweepHeader header;
  header.name = config.name;
  header.config = config.json();
  header.records_hash = config.records_hash();
  header.program = version();
  header.provenance = options.provenance;
  for (const auto& [name, set] : data) {
    SweepHeader::Data& entry = header.data[name];
    entry.format = set->format;
    entry.content = set->content;
    for (const Sample& sample : set->samples) entry.samples.push_back(sample.id);
  }
  return header;
}

bool holds_sweep(const std::filesystem::path& folder) { return path_exists(folder / "sweep.json"); }

/// Ends a run that had as many failures as it may have.
struct TooManyFailures {};

/// One sweep while it runs.
class Run {
 public:
  Run(const SweepConfig& config, const RunOptions& options, const Engines& engines,
      Progress& progress, RecordWriter& writer, std::vector<GroupWork>& work)
      : config_(config),
        options_(options),
        engines_(engines),
        progress_(progress),
        writer_(writer),
        work_(work) {}

  SweepOutcome finish() {
    SweepOutcome outcome;
    int64_t total = 0;
    int64_t done = 0;
    for (const GroupWork& item : work_) {
      outcome.cells += std::ssize(item.group.cells);
      total += item.samples();
      done += item.samples() - std::ssize(item.open);
    }
    progress_.begin(total, done);
    try {
      for (GroupWork& item : work_) run(item);
      writer_.begin();  // a run with nothing to do may still have other samples than the last
    } catch (const Interrupted&) {
      outcome.interrupted = true;
      writer_.begin();  // whoever looks finds a sweep, to be resumed, though nothing was done yet
    } catch (const TooManyFailures&) {
      outcome.undone_cells = undone_cells();
      outcome.stopped = outcome.undone_cells > 0;
    } catch (const DeviceLost& error) {
      outcome.undone_cells = undone_cells();
      outcome.device_lost = one_line(error.what());
    }
    progress_.finish();
    failures_.report(outcome);
    return outcome;
  }

 private:
  void run(GroupWork& item) {
    RunningPerplexity perplexity(item.group);
    note_settled(item, perplexity);
    GroupDetails details(item.group, item.set, item.problems, config_.detail_samples, writer_,
                         item.shard);
    if (item.open.empty() && details.empty()) return;
    if (options_.should_stop()) throw Interrupted();
    const bool tries =
        !details.empty() || std::any_of(item.open.begin(), item.open.end(),
                                        [&](size_t place) { return item.problems[place].empty(); });
    // The weights are hashed beside their loading, so that a disk has to give them once.
    std::future<EngineIdentity> identified =
        std::async(std::launch::async, [&] { return engines_.identity(item.group.model); });
    if (tries) open(item.group);
    const EngineIdentity identity = identified.get();
    item.recorder.set_engine(identity);
    writer_.note_engine(item.group.model_name, identity);
    progress_.say(fmt::format("{} on {}: {} cells, {} of {} samples to do", item.group.model_name,
                              item.group.data.name, item.group.cells.size(), item.open.size(),
                              item.samples()));
    std::vector<const Sample*> open_samples;
    for (const size_t place : item.open) open_samples.push_back(&item.set.samples[place]);
    if (tries) details.keep_all_but(open_samples, *evaluator_, progress_);
    for (const std::vector<size_t>& places : by_context(item.open, item.contexts)) {
      std::optional<ContextShared> shared;
      if (places.size() > 1) shared.emplace(*evaluator_);
      for (size_t done = 0; done < places.size();) {
        if (options_.should_stop()) throw Interrupted();
        const size_t count = std::min(places.size() - done, kSamplesTogether);
        const std::vector<GroupRecorder::Evaluation> evaluations =
            evaluate(item, std::span(places).subspan(done, count));
        for (const GroupRecorder::Evaluation& evaluation : evaluations)
          record(item, places[done++], evaluation, perplexity, details);
      }
    }
  }

  /// Evaluates samples of one context, or a single one: as many of the first ones as run together.
  std::vector<GroupRecorder::Evaluation> evaluate(GroupWork& item, std::span<const size_t> places) {
    const Sample& first = item.set.samples[places.front()];
    const std::string& problem = item.problems[places.front()];
    if (!problem.empty()) return {item.recorder.refuse(first, problem)};
    if (places.size() == 1) return {item.recorder.evaluate(first, *evaluator_)};
    std::vector<const Sample*> samples;
    for (const size_t place : places) samples.push_back(&item.set.samples[place]);
    return item.recorder.evaluate(samples, *evaluator_);
  }

  /// Writes down what became of a sample, which is then no longer open.
  void record(GroupWork& item, size_t place, const GroupRecorder::Evaluation& evaluation,
              RunningPerplexity& perplexity, GroupDetails& details) {
    writer_.append(to_append(writer_.stored(), evaluation.records));
    item.open.erase(std::lower_bound(item.open.begin(), item.open.end(), place));
    const bool failed = std::all_of(evaluation.records.begin(), evaluation.records.end(),
                                    [](const Record& record) { return record.failed(); });
    if (!failed) details.keep(item.set.samples[place], *evaluator_, progress_);
    for (const Record& record : evaluation.records) {
      failures_.add(record);
      perplexity.add(record);
    }
    progress_.sample_done(config_.metrics.perplexity ? perplexity.text() : "");
    failed_ += evaluation.failures;
    if (options_.max_failures && failed_ >= *options_.max_failures) throw TooManyFailures();
  }

  /// What the folder says of the samples that are not open.
  void note_settled(const GroupWork& item, RunningPerplexity& perplexity) {
    for (size_t i = 0; i < item.set.samples.size(); ++i) {
      if (!item.ours(i) || std::binary_search(item.open.begin(), item.open.end(), i)) continue;
      for (const Cell& cell : item.group.cells) {
        const Record& record = *writer_.stored().find(cell.id, item.set.samples[i].id);
        perplexity.add(record);
        failures_.add(record);
      }
    }
  }

  void open(const CellGroup& group) {
    if (open_model_ == group.model_name) return;
    evaluator_.reset();  // two models need not fit into memory at once
    progress_.say(fmt::format("loading {} ({}, {})", group.model.path.string(), group.model.device,
                              group.model.dtype));
    evaluator_ = engines_.open(
        group.model, config_.evaluation(),
        {options_.should_stop, [this](const PhaseProgress& at) { progress_.phase(at); }});
    open_model_ = group.model_name;
  }

  int64_t undone_cells() const {
    int64_t cells = 0;
    for (const GroupWork& item : work_)
      cells += item.open.empty() ? 0 : std::ssize(item.group.cells);
    return cells;
  }

  const SweepConfig& config_;
  const RunOptions& options_;
  const Engines& engines_;
  Progress& progress_;
  RecordWriter& writer_;
  std::vector<GroupWork>& work_;
  FailureCount failures_;
  std::unique_ptr<SampleEvaluator> evaluator_;
  std::string open_model_;
  int64_t failed_ = 0;
};

}  // namespace

int SweepOutcome::exit_code() const {
  if (interrupted) return 130;
  return failed_cells > 0 || stopped || !device_lost.empty() ? 2 : 0;
}

SweepOutcome run_sweep(const SweepConfig& whole, const RunOptions& options, const Engines& engines,
                       Progress& progress) {
  const Preparation preparation(whole, options.sample_ids, engines);
  const std::optional<SampleChoice>& choice = preparation.choice();
  if (choice) {
    for (const std::string& name : choice->left_out)
      progress.say(fmt::format("data set {} is left out: it has none of the samples", name));
  }
  const SweepConfig& config = preparation.config();
  const SweepData& data = preparation.data();
  for (const std::string& note : data.notes()) progress.say(note);
  std::map<std::string, int64_t> revisions;
  std::vector<GroupWork> work;
  for (const PreparedGroup& prepared : preparation.prepared()) {
    if (!prepared.memory.empty()) fail("{}", prepared.memory);
    const CellGroup& group = prepared.group;
    const std::vector<std::string> parts = parts_of(config, group, *prepared.set, engines);
    add_revisions(parts, revisions);
    work.push_back(
        {group, *prepared.set, prepared.problems, prepared.contexts,
         options.ranks != nullptr ? costs_of(prepared, config.evaluation()) : std::vector<double>(),
         GroupRecorder(config, group, engines, revisions_text(parts), options.commit),
         options.shard});
  }
  // Some samples again of a folder about more: it stays about all of them.
  const bool part = choice && options.resume && holds_sweep(config.output);
  std::map<std::string, DataSet> widened;
  SweepHeader header = make_header(part ? whole : config, options, data.by_name());
  if (part) {
    const SweepHeader stored = read_stored_sweep(config.output).header;
    widened = widen(*choice, stored, data);
    KeptData kept;
    for (const auto& [name, set] : widened) kept[name] = &set;
    header = make_header(whole, options, kept);
    header.data.insert(stored.data.begin(), stored.data.end());
  }
  header.revisions = std::move(revisions);
  header.shard = options.shard;
  if (options.shard || options.ranks != nullptr)
    header.strategies = strategy_hashes(preparation.groups(), engines);
  // What is there is for rank 0 to say.
  if (options.ranks != nullptr && options.ranks->place.rank > 0)
    return run_rank(config, options, engines, progress, work, header, /*writer=*/nullptr);
  const SweepHeader shared = header;
  RecordWriter writer(config.output, std::move(header), MetricSet(config.metrics).scorers(),
                      options.resume);
  // A folder that stays about more samples keeps what it says of them.
  if (!part) writer.set_samples(sample_lines(preparation.groups(), data));
  for (GroupWork& item : work) {
    for (size_t i = 0; i < item.set.samples.size(); ++i) {
      if (item.ours(i) &&
          !settled(writer.stored(), item.group, item.set.samples[i], item.problems[i]))
        item.open.push_back(i);
    }
  }
  require_same_measurement(writer, work, engines, config.output);
  if (options.ranks != nullptr) {
    const FolderLease lease(config.output);
    return run_rank(config, options, engines, progress, work, shared, &writer);
  }
  return Run(config, options, engines, progress, writer, work).finish();
}

}  // namespace elastikv
