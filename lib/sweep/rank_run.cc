#include "sweep/rank_run.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <future>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "metrics/metric_set.h"
#include "sweep/details.h"
#include "sweep/folder.h"
#include "sweep/header_difference.h"
#include "sweep/rank_records.h"
#include "sweep/rank_watch.h"
#include "sweep/ranks.h"
#include "sweep/shared_work.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// Keys of the store beside SharedWork's.
constexpr const char* kRefused = "refused";    // why rank 0 refuses the sweep
constexpr const char* kHeader = "header";      // of rank 0, with hashes in the place of samples
constexpr const char* kRun = "run";            // the number of this run's record files
constexpr const char* kEngines = "engines";    // names of models, a line each
constexpr const char* kFailures = "failures";  // as RunOptions::max_failures counts them

// Why the work of all is stopped.
constexpr const char* kInterrupted = "interrupted";
constexpr const char* kTooManyFailures = "failures";

std::string engine_key(const std::string& model) { return fmt::format("engine/{}", model); }

/// What ranks compare: as sweep.json, with one hash in the place of a data set's many ids.
std::string shared_header(SweepHeader header) {
  for (auto& [name, set] : header.data) {
    std::string all;
    for (const std::string& sample : set.samples)
      all += fmt::format("{}:{}", sample.size(), sample);
    set.samples = {content_hash(all)};
  }
  header.engines.clear();
  header.provenance.clear();
  return header_text(header);
}

/// An engine as text, and the reverse, in the form of sweep.json.
std::string engine_text(const EngineIdentity& engine) {
  SweepHeader header;
  header.config = "{}";
  header.engines["engine"] = engine;
  return header_text(header);
}
EngineIdentity parse_engine(const std::string& text) {
  return parse_header(text, "the store").engines.at("engine");
}

/// Ends the taking of units: why this rank takes no more.
struct RankFailed {
  std::string why;
};

class RankRun {
 public:
  RankRun(const SweepConfig& config, const RunOptions& options, const Engines& engines,
          Progress& progress, std::vector<GroupWork>& work, const SweepHeader& header,
          RecordWriter* writer)
      : config_(config),
        options_(options),
        engines_(engines),
        progress_(progress),
        groups_(work),
        header_(header),
        writer_(writer),
        ranks_(*options.ranks),
        store_(*ranks_.store),
        shared_(*ranks_.work) {
    list_units();
  }

  SweepOutcome run() {
    SweepOutcome outcome;
    std::string failure;
    try {
      if (is_first()) {
        offer();
      } else {
        join();
      }
      work();
    } catch (const Interrupted&) {
      // The others go on without any rank but the one that keeps their store.
      outcome.interrupted = true;
      if (is_first()) shared_.stop(kInterrupted);
    } catch (const RankFailed& failed) {
      failure = failed.why;
    }
    if (!is_first()) {
      evaluator_.reset();
      shared_.leave();
      if (!failure.empty()) fail("{}", failure);
      outcome.other_rank = true;
      outcome.interrupted = outcome.interrupted || shared_.stopped() == kInterrupted;
      return outcome;
    }
    return finish(failure);
  }

 private:
  struct Place {
    size_t group;
    size_t sample;
  };

  bool is_first() const { return ranks_.place.rank == 0; }
  std::string who() const { return fmt::format("rank {} on {}", ranks_.place.rank, ranks_.host); }

  void list_units() {
    std::map<std::string, size_t> models;
    for (size_t group = 0; group < groups_.size(); ++group) {
      const GroupWork& item = groups_[group];
      const size_t model = models.try_emplace(item.group.model_name, models.size()).first->second;
      for (size_t sample = 0; sample < item.set.samples.size(); ++sample) {
        if (!item.ours(sample)) continue;
        places_.push_back({group, sample});
        units_.push_back({model, item.costs.empty() ? 1 : item.costs[sample]});
      }
    }
  }

  void offer() {
    writer_->begin();
    std::vector<bool> open;
    std::vector<std::set<size_t>> open_places(groups_.size());
    for (size_t group = 0; group < groups_.size(); ++group) {
      const GroupWork& item = groups_[group];
      open_places[group].insert(item.open.begin(), item.open.end());
      // Details that are not there cost another evaluation: who has looked cannot be asked.
      const size_t looked_at =
          std::min(item.set.samples.size(), static_cast<size_t>(config_.detail_samples));
      for (size_t sample = 0; sample < looked_at; ++sample) {
        if (item.ours(sample) &&
            lacks_detail(*writer_, item.group, item.set.samples[sample], item.problems[sample]))
          open_places[group].insert(sample);
      }
    }
    for (const Place& place : places_)
      open.push_back(open_places[place.group].contains(place.sample));
    std::string engines;
    for (const auto& [model, engine] : writer_->header().engines) {
      if (writer_->stored_engine(model) == nullptr) continue;
      store_.set(engine_key(model), engine_text(engine));
      engines += model + "\n";
    }
    run_ = writer_->next_rank_run();
    store_.set_all({{kHeader, shared_header(header_)},
                    {kRun, std::to_string(run_)},
                    {kEngines, engines},
                    {kWholeHeader, header_text(writer_->header())},
                    {kFailures, "0"}});
    settled_ = std::count(open.begin(), open.end(), false);
    shared_.offer(units_, open);
    progress_.begin(std::ssize(places_), settled_);
    progress_.say(fmt::format("{} ranks ({}), {} of {} samples to do", ranks_.place.world,
                              ranks_.place.launcher, shared_.total(), places_.size()));
  }

  void join() {
    while (!shared_.offered()) {
      if (options_.should_stop()) throw Interrupted();
      if (store_.has(kRefused)) {
        fail("rank 0 refuses the sweep: {}", store_.get(kRefused));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    SweepHeader ours = parse_header(shared_header(header_), "this rank");
    const SweepHeader first = parse_header(store_.get(kHeader), "rank 0");
    const std::string difference = header_difference(first, ours);
    if (!difference.empty()) fail("{} does not fit to rank 0: it has {}", who(), difference);
    run_ = std::stoll(store_.get(kRun));
    require_shared_folder();
    shared_.join(units_);
    log_ = open_log();
    progress_.go_on_in(log_.get(), fmt::format("rank {}: ", ranks_.place.rank));
    progress_.begin(std::ssize(places_), std::ssize(places_) - shared_.total());
  }

  /// Rank 0 has written sweep.json by now. A folder that machines share may show it late.
  void require_shared_folder() {
    const auto begin = Clock::now();
    while (!path_exists(config_.output / kHeaderFile)) {
      if (Clock::now() - begin > std::chrono::seconds(60)) {
        fail("{}: rank 0 has made {} there, but {} sees none; ranks need a folder that all see",
             config_.output.string(), kHeaderFile, who());
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  }

  std::unique_ptr<std::FILE, int (*)(std::FILE*)> open_log() const {
    const fs::path folder = config_.output / "logs";
    std::error_code ignored;
    fs::create_directories(folder, ignored);
    const fs::path file = folder / fmt::format("rank.{}.log", ranks_.place.rank);
    return {std::fopen(file.c_str(), "ae"),
            [](std::FILE* open) { return open == nullptr ? 0 : std::fclose(open); }};
  }

  void work() {
    RankRecords records(config_.output, MetricSet(config_.metrics).scorers(), ranks_.place.rank,
                        run_);
    while (true) {
      if (options_.should_stop()) throw Interrupted();
      const std::optional<size_t> unit = shared_.take([this] {
        if (options_.should_stop()) throw Interrupted();
        show_progress();
      });
      if (!unit) return;
      try {
        evaluate(places_[*unit], records);
      } catch (const Interrupted&) {
        shared_.give_back(*unit);
        if (shared_.stopped().empty()) throw;
        return;
      } catch (const StoreLost&) {
        throw;
      } catch (const DeviceLost& error) {
        shared_.give_back(*unit);
        throw RankFailed{fmt::format(
            "{}: the device stopped answering, and nothing can be computed on it in this process: "
            "{}",
            who(), one_line(error.what()))};
      } catch (const std::exception& error) {
        shared_.give_back(*unit);
        throw RankFailed{fmt::format("{}: {}", who(), error.what())};
      }
      shared_.done(*unit);
      show_progress();
    }
  }

  void evaluate(const Place& place, RankRecords& records) {
    GroupWork& item = groups_[place.group];
    const Sample& sample = item.set.samples[place.sample];
    const std::string& problem = item.problems[place.sample];
    prepare(item, /*tries=*/problem.empty());
    const GroupRecorder::Evaluation evaluation = problem.empty()
                                                     ? item.recorder.evaluate(sample, *evaluator_)
                                                     : item.recorder.refuse(sample, problem);
    records.append(evaluation.records);
    const bool failed = std::all_of(evaluation.records.begin(), evaluation.records.end(),
                                    [](const Record& record) { return record.failed(); });
    if (!failed) {
      GroupDetails details(item.group, item.set, item.problems, config_.detail_samples, records,
                           item.shard);
      details.keep(sample, *evaluator_, progress_);
    }
    if (!is_first()) progress_.sample_done("");
    if (options_.max_failures && evaluation.failures > 0 &&
        store_.add(kFailures, evaluation.failures) >= *options_.max_failures)
      shared_.stop(kTooManyFailures);
  }

  /// Makes the group's model and its identity ready.
  void prepare(GroupWork& item, bool tries) {
    const std::string& model = item.group.model_name;
    const bool known = identities_.contains(model);
    // The weights are hashed beside their loading, so that a disk has to give them once.
    std::future<EngineIdentity> identified;
    if (!known) {
      identified =
          std::async(std::launch::async, [&] { return engines_.identity(item.group.model); });
    }
    if (tries && open_model_ != model) open(item.group);
    if (!known) {
      const EngineIdentity identity = identified.get();
      compare_engine(model, identity);
      identities_[model] = identity;
    }
    item.recorder.set_engine(identities_.at(model));
  }

  void open(const CellGroup& group) {
    evaluator_.reset();  // two models need not fit into memory at once
    for (GroupWork& item : groups_) item.recorder.forget_evaluator();
    progress_.say(fmt::format("loading {} ({}, {})", group.model.path.string(), group.model.device,
                              group.model.dtype));
    evaluator_ =
        engines_.open(group.model, config_.evaluation(),
                      {[this] { return options_.should_stop() || !shared_.stopped().empty(); },
                       [this](const PhaseProgress& at) {
                         show_progress();
                         progress_.phase(at);
                       }});
    open_model_ = group.model_name;
  }

  /// All ranks have to have the same model. The first one that opens it notes it in sweep.json.
  void compare_engine(const std::string& model, const EngineIdentity& identity) {
    const std::string text = engine_text(identity);
    const std::string there = store_.compare_set(engine_key(model), "", text);
    if (there != text) {
      const std::string_view what = parse_engine(there).difference(identity);
      if (!what.empty()) fail("it has {} of model '{}' than the ranks before it", what, model);
    }
    const std::string known = store_.get(kEngines);
    if (fmt::format("\n{}", known).find(fmt::format("\n{}\n", model)) != std::string::npos) return;
    store_.append(kEngines, model + "\n");
    write_header();
  }

  SweepHeader known_header(const std::string& engines) {
    SweepHeader header = parse_header(store_.get(kWholeHeader), "rank 0");
    size_t begin = 0;
    for (size_t end = engines.find('\n'); end != std::string::npos;
         end = engines.find('\n', begin)) {
      const std::string model = engines.substr(begin, end - begin);
      header.engines[model] = parse_engine(store_.get(engine_key(model)));
      begin = end + 1;
    }
    return header;
  }

  /// Others may do so at the same time: whoever writes last has all.
  void write_header() {
    for (std::string written, engines = store_.get(kEngines); written != engines;
         engines = store_.get(kEngines)) {
      written = engines;
      write_file_atomically(config_.output / kHeaderFile, header_text(known_header(engines)));
    }
  }

  void show_progress() {
    if (is_first()) progress_.ranks_done(settled_ + shared_.done_units(), shared_.alive());
  }

  /// Of rank 0, when it takes no more units: waits for the others and says what became of all.
  SweepOutcome finish(const std::string& failure) {
    evaluator_.reset();
    // The store lives as long as rank 0 does.
    if (!failure.empty()) progress_.say(fmt::format("{}; the other ranks go on", failure));
    // Whoever is interrupted is not asked to wait until a lost rank is known to be lost.
    shared_.wait_for_others([&, begin = Clock::now()] {
      return options_.should_stop() && Clock::now() - begin > std::chrono::seconds(5);
    });
    show_progress();
    progress_.finish();
    write_header();
    if (!failure.empty()) fail("{}", failure);
    SweepOutcome outcome;
    outcome.interrupted = shared_.stopped() == kInterrupted;
    read_outcome(outcome);
    outcome.stopped = shared_.stopped() == kTooManyFailures && outcome.undone_cells > 0;
    if (outcome.undone_cells > 0 && shared_.stopped().empty()) {
      fail(
          "{}: {} cells lack records though all samples are done: is it one folder that all ranks "
          "see?",
          config_.output.string(), outcome.undone_cells);
    }
    return outcome;
  }

  /// What the folder says. One that machines share may show the last lines late.
  void read_outcome(SweepOutcome& outcome) {
    const auto begin = Clock::now();
    while (true) {
      outcome.cells = outcome.failed_cells = outcome.undone_cells = 0;
      FailureCount failures;
      const StoredSweep stored = read_stored_sweep(config_.output);
      for (const GroupWork& item : groups_) {
        outcome.cells += std::ssize(item.group.cells);
        for (const Cell& cell : item.group.cells) {
          bool whole = true;
          for (size_t sample = 0; sample < item.set.samples.size(); ++sample) {
            if (!item.ours(sample)) continue;
            const Record* record = stored.records.find(cell.id, item.set.samples[sample].id);
            if (record != nullptr) failures.add(*record);
            whole = whole && record != nullptr;
          }
          outcome.undone_cells += whole ? 0 : 1;
        }
      }
      const bool late = outcome.undone_cells > 0 && shared_.stopped().empty();
      if (!late || Clock::now() - begin > std::chrono::seconds(60)) {
        failures.report(outcome);
        return;
      }
      std::this_thread::sleep_for(std::chrono::seconds(2));
    }
  }

  static constexpr const char* kWholeHeader = "sweep.json";

  const SweepConfig& config_;
  const RunOptions& options_;
  const Engines& engines_;
  Progress& progress_;
  std::vector<GroupWork>& groups_;
  const SweepHeader& header_;
  RecordWriter* writer_;
  Ranks& ranks_;
  RankStore& store_;
  SharedWork& shared_;
  std::vector<Place> places_;  // by unit
  std::vector<WorkUnit> units_;
  int64_t run_ = 1;
  int64_t settled_ = 0;  // units that were done before
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> log_{nullptr, nullptr};
  std::map<std::string, EngineIdentity> identities_;  // by model
  std::unique_ptr<SampleEvaluator> evaluator_;
  std::string open_model_;
};

}  // namespace

void tell_failure(Ranks& ranks, const std::string& why) {
  try {
    if (ranks.place.rank > 0) {
      ranks.work->leave();
      return;
    }
    if (ranks.work->offered()) return;
    ranks.store->set(kRefused, why);
    // The store ends with this process.
    const auto begin = Clock::now();
    for (int64_t rank = 1; rank < ranks.place.world; ++rank) {
      const std::string key = work_keys::life(rank);
      while (!ranks.store->has(key) || ranks.store->get(key) != work_keys::kLeft) {
        if (Clock::now() - begin > std::chrono::seconds(20)) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
    }
  } catch (const StoreLost&) {
    // The others find out by themselves.
  }
}

SweepOutcome run_rank(const SweepConfig& config, const RunOptions& options, const Engines& engines,
                      Progress& progress, std::vector<GroupWork>& work, const SweepHeader& header,
                      RecordWriter* writer) {
  try {
    return RankRun(config, options, engines, progress, work, header, writer).run();
  } catch (const StoreLost& error) {
    if (options.should_stop()) {
      SweepOutcome outcome;
      outcome.interrupted = true;
      outcome.other_rank = true;
      return outcome;
    }
    fail("{}; what is recorded in {} is kept, --resume with any number of ranks goes on",
         error.what(), config.output.string());
  }
}

}  // namespace elastikv
