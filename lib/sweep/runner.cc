#include "sweep/runner.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include <fmt/ranges.h>

#include "base/device.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/nearest_name.h"
#include "base/version.h"
#include "metrics/agreement.h"
#include "metrics/text_metrics.h"
#include "sweep/cell_batches.h"
#include "sweep/details.h"
#include "sweep/records.h"

namespace elastikv {
namespace {

/// The first line of a message: records and tables hold errors in one line.
std::string one_line(std::string text) {
  text.resize(std::min(text.find('\n'), text.size()));
  return text;
}

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

/// What makes the records of one group, once its engine is open.
class GroupRecorder {
 public:
  GroupRecorder(const SweepConfig& config, const CellGroup& group, SampleEvaluator& evaluator)
      : config_(config), group_(group), batches_(evaluator, group.cells, reference_of(config)) {
    if (!config.metrics.text.empty()) text_metrics_.emplace(config.metrics.text);
    identity_.engine = evaluator.identity();
    identity_.device = parse_device(group.model.device).is_cpu() ? "cpu" : "cuda";
    identity_.dtype = group.model.dtype;
    identity_.evaluation = evaluation_text(config);
    identity_.program = version();
    for (const Cell& cell : group.cells) {
      strategies_.push_back(evaluator.strategy_text(cell));
      identity_.batch +=
          fmt::format("{}:{}{}", strategies_.back().size(), strategies_.back(), cell.budget.text());
    }
    identity_.batch = content_hash(identity_.batch);
  }

  std::string key(size_t cell, const Sample& sample) const {
    CellIdentity identity = identity_;
    identity.data_item = sample.content;
    identity.strategy = strategies_[cell];
    identity.budget = group_.cells[cell].budget.text();
    return record_key(identity);
  }

  /// What became of a sample: one record per cell.
  struct Evaluation {
    std::vector<Record> records;
    int64_t failures = 0;  // as RunOptions::max_failures counts them
  };
  /// `problem`: why it is not to be tried; empty otherwise.
  Evaluation evaluate(const Sample& sample, const std::string& problem) {
    SampleOutcome outcome;
    int64_t consequences = 0;
    bool sample_failed = false;
    const auto fail_all = [&](const std::string& why) {
      outcome = SampleOutcome{};
      outcome.cells.resize(group_.cells.size());
      for (CellOutcome& cell : outcome.cells) {
        cell.error = one_line(why);
        cell.failure = Failure::kSample;
      }
      sample_failed = true;
    };
    if (!problem.empty()) {
      fail_all(problem);
    } else {
      try {
        outcome = batches_.evaluate(sample);
        consequences = batches_.not_tried();
      } catch (const Interrupted&) {
        throw;
      } catch (const InternalError&) {
        throw;
      } catch (const std::exception& error) {
        fail_all(error.what());
      }
    }
    Evaluation evaluation;
    evaluation.records = records_of(sample, std::move(outcome));
    if (sample_failed) {
      evaluation.failures = problem.empty() ? 1 : 0;
    } else {
      evaluation.failures = std::count_if(evaluation.records.begin(), evaluation.records.end(),
                                          [](const Record& record) { return record.failed(); }) -
                            consequences;
    }
    compare(sample, evaluation.records);
    return evaluation;
  }

 private:
  static CellBatches::Reference reference_of(const SweepConfig& config) {
    if (config.metrics.agreement)
      return config.metrics.perplexity ? CellBatches::Reference::kBatch
                                       : CellBatches::Reference::kOutcome;
    const bool compares =
        !config.metrics.text.empty() && config.metrics.reference == TextReference::kFullCache;
    return compares ? CellBatches::Reference::kOutcome : CellBatches::Reference::kNone;
  }

  std::vector<Record> records_of(const Sample& sample, SampleOutcome outcome) const {
    std::vector<Record> records;
    for (size_t i = 0; i < group_.cells.size(); ++i) {
      Record record;
      record.cell = group_.cells[i].id;
      record.sample = sample.id;
      record.item = sample.content;
      record.key = key(i, sample);
      record.hidden = group_.cells[i].hidden;
      record.prompt_tokens = outcome.prompt_tokens;
      record.image_tokens = outcome.image_tokens;
      record.shared = outcome.seconds;
      record.outcome = std::move(outcome.cells[i]);
      require_finite(record.outcome);
      records.push_back(std::move(record));
    }
    return records;
  }

  /// A perplexity that is no number is a failure of its cell, never a number in a mean.
  static void require_finite(CellOutcome& outcome) {
    if (!outcome.error.empty()) return;
    ELASTIKV_ASSERT(static_cast<int64_t>(outcome.nll.size()) == outcome.scored_tokens,
                    "{} log likelihoods of {} tokens", outcome.nll.size(), outcome.scored_tokens);
    bool finite = std::isfinite(outcome.nll_sum);
    for (const float value : outcome.nll) finite = finite && std::isfinite(value);
    if (!finite) {
      outcome.error = "the log likelihood of the answer is not finite";
    } else if (outcome.mean_kl && !std::isfinite(*outcome.mean_kl)) {
      outcome.error = "the divergence from the full cache is not finite";
    }
  }

  /// Adds what compares a cell's text with the full cache's (the first record's) or the answer.
  void compare(const Sample& sample, std::vector<Record>& records) const {
    const Record full = records.front();
    const bool to_full = config_.metrics.reference == TextReference::kFullCache;
    for (size_t i = 0; i < records.size(); ++i) {
      Record& record = records[i];
      if (record.failed()) continue;
      const bool needs_full = config_.metrics.agreement || (text_metrics_ && to_full);
      if (full.failed() && needs_full) {
        record.outcome.error = "no reference: the full cache failed: " + full.outcome.error;
        record.outcome.failure = Failure::kCell;
        continue;
      }
      if (text_metrics_) {
        record.text_scores =
            to_full ? text_metrics_->score(full.outcome.text, record.outcome.text)
                    : text_metrics_->score_best(sample.accepted(), record.outcome.text);
      }
      if (config_.metrics.agreement && !group_.cells[i].is_full()) {
        record.agreement = compare_tokens(full.outcome.token_ids, record.outcome.token_ids);
      }
    }
  }

  const SweepConfig& config_;
  const CellGroup& group_;
  CellBatches batches_;
  std::optional<TextMetrics> text_metrics_;
  CellIdentity identity_;
  std::vector<std::string> strategies_;
};

/// Every cell has a record of this sample that did not fail.
bool complete(const RecordTable& stored, const CellGroup& group, const Sample& sample) {
  for (const Cell& cell : group.cells) {
    const Record* record = stored.find(cell.id, sample.id);
    if (record == nullptr || record->failed()) return false;
  }
  return true;
}

/// Error when a stored record speaks of another question, answer or picture under the same id. One
/// that failed does not count: its sample may have been mended, and is evaluated again.
void require_same_items(const RecordTable& stored, const CellGroup& group, const DataSet& data,
                        const std::filesystem::path& folder) {
  for (const Sample& sample : data.samples) {
    for (const Cell& cell : group.cells) {
      const Record* record = stored.find(cell.id, sample.id);
      if (record != nullptr && !record->failed() && record->item != sample.content) {
        fail(
            "{}: sample '{}' of {} was recorded with another question, answer or picture; use "
            "another --output",
            folder.string(), sample.id, data.name);
      }
    }
  }
}

void require_same_keys(const RecordTable& stored, const CellGroup& group, const DataSet& data,
                       const GroupRecorder& recorder, const std::filesystem::path& folder) {
  for (const Sample& sample : data.samples) {
    for (size_t i = 0; i < group.cells.size(); ++i) {
      const Record* record = stored.find(group.cells[i].id, sample.id);
      if (record != nullptr && !record->failed() && record->key != recorder.key(i, sample)) {
        fail(
            "{}: its records of {} were made with other parameters of '{}' or of a strategy "
            "beside it; use another --output",
            folder.string(), group.cells[i].id, group.cells[i].strategy.label);
      }
    }
  }
}

bool same_result(const Record& a, const Record& b) {
  return a.outcome.nll == b.outcome.nll && a.outcome.nll_sum == b.outcome.nll_sum &&
         a.outcome.token_ids == b.outcome.token_ids && a.outcome.mean_kl == b.outcome.mean_kl;
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

/// Counts the cells that failed by the last record of each sample.
class FailureCount {
 public:
  void add(const Record& record) {
    std::set<std::string>& samples = failed_[record.cell];
    if (record.failed()) {
      samples.insert(record.sample);
      reasons_[{record.cell, record.sample}] = record.outcome.error;
    } else {
      samples.erase(record.sample);
      reasons_.erase({record.cell, record.sample});
    }
  }
  void report(SweepOutcome& outcome) const {
    for (const auto& [cell, samples] : failed_) outcome.failed_cells += samples.empty() ? 0 : 1;
    if (!reasons_.empty()) {
      const auto& [place, why] = *reasons_.begin();
      outcome.first_failure = fmt::format("{}, sample {}: {}", place.first, place.second, why);
    }
  }

 private:
  std::map<std::string, std::set<std::string>> failed_;
  std::map<std::pair<std::string, std::string>, std::string> reasons_;
};

/// One group's samples and which of them are still to do.
struct GroupWork {
  const CellGroup& group;
  const DataSet& set;
  std::vector<std::string> problems;  // by sample; empty: none
  std::deque<size_t> open = {};       // places in set.samples

  std::vector<const Sample*> open_samples() const {
    std::vector<const Sample*> samples;
    samples.reserve(open.size());
    for (const size_t place : open) samples.push_back(&set.samples[place]);
    return samples;
  }
};

/// Ends a run that had as many failures as it may have.
struct TooManyFailures {};

bool holds_sweep(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "sweep.json");
}

/// Leaves out what exclusions say of data sets that are gone.
void drop_exclusions(SweepConfig& config) {
  std::erase_if(config.exclude, [&](Exclusion& exclusion) {
    if (exclusion.data.empty()) return false;
    std::erase_if(exclusion.data, [&](const std::string& pattern) {
      return std::none_of(config.data.begin(), config.data.end(), [&](const DataOptions& data) {
        return matches_pattern(pattern, data.name);
      });
    });
    return exclusion.data.empty();
  });
}

/// The chosen samples together with those that a folder is about, in their data sets' order.
std::map<std::string, DataSet> widen(const SampleChoice& choice, const SweepHeader& stored,
                                     const SweepData& data) {
  std::map<std::string, DataSet> widened;
  for (const auto& [name, chosen] : data.by_name()) {
    std::set<std::string> ids;
    for (const Sample& sample : chosen->samples) ids.insert(sample.id);
    const auto known = stored.data.find(name);
    if (known != stored.data.end())
      ids.insert(known->second.samples.begin(), known->second.samples.end());
    DataSet& set = widened[name];
    set.name = name;
    set.format = chosen->format;
    for (const Sample& sample : choice.whole.at(name).samples) {
      if (ids.contains(sample.id)) set.samples.push_back(sample);
    }
    std::string all;  // as read_data has it
    for (const Sample& sample : set.samples)
      all += fmt::format("{}:{}{}", sample.id.size(), sample.id, sample.content);
    set.content = content_hash(all);
  }
  return widened;
}

}  // namespace

int SweepOutcome::exit_code() const {
  if (interrupted) return 130;
  return failed_cells > 0 || stopped ? 2 : 0;
}

SweepData::SweepData(const SweepConfig& config, const Engines& engines) {
  std::map<std::string, const ModelChoice*> first;  // by data set
  const std::vector<CellGroup> groups = plan_cells(config);
  for (const CellGroup& group : groups) {
    const DataSet& set = read(group.data, group.model, engines);
    const auto [entry, is_new] = by_name_.try_emplace(group.data.name, &set);
    const ModelChoice& model = *first.try_emplace(group.data.name, &group.model).first->second;
    const DataSet& common = *entry->second;
    if (set.samples.size() == common.samples.size()) continue;
    fail(
        "{}: {} cuts it into {} windows, {} into {}; with 'limit: {}' both have as many, to be "
        "compared",
        group.data.path.string(), model.path.string(), common.samples.size(),
        group.model.path.string(), set.samples.size(),
        std::min(common.samples.size(), set.samples.size()));
  }
}

const DataSet& SweepData::of(const CellGroup& group) const {
  return sets_.at({group.data.name, group.data.tokens ? group.model.path.string() : ""});
}

const DataSet& SweepData::read(const DataOptions& options, const ModelChoice& model,
                               const Engines& engines) {
  const auto [entry, is_new] =
      sets_.try_emplace({options.name, options.tokens ? model.path.string() : ""});
  if (is_new) {
    const std::unique_ptr<Tokenizer> tokenizer =
        options.tokens ? engines.tokenizer(model) : nullptr;
    entry->second = read_data(
        options, [&](const std::filesystem::path& file) { engines.check_picture(file); },
        tokenizer.get());
  }
  return entry->second;
}

std::vector<std::string> problems_of(const CellGroup& group, const DataSet& data,
                                     const EvaluationSettings& settings, const Engines& engines) {
  if (settings.score_end && data.format == "text") {
    fail(
        "{}: is plain text, cut into windows: its answers end where the text goes on, so that "
        "metrics.perplexity.score_end has no end to score",
        group.data.path.string());
  }
  std::vector<std::string> problems =
      engines.check_samples(group.model, group.cells, data.samples, settings);
  ELASTIKV_ASSERT(problems.size() == data.samples.size(), "{} answers about {} samples",
                  problems.size(), data.samples.size());
  const std::string* first = nullptr;
  int64_t usable = 0;
  for (size_t i = 0; i < problems.size(); ++i) {
    if (problems[i].empty()) problems[i] = data.samples[i].problem;
    if (problems[i].empty()) ++usable;
    if (!problems[i].empty() && first == nullptr) first = &problems[i];
  }
  if (first == nullptr || (group.data.on_problem == OnProblem::kRecord && usable > 0))
    return problems;
  fail("{}", *first);
}

SampleChoice choose_samples(const SweepConfig& config, const std::vector<std::string>& ids,
                            const Engines& engines) {
  SampleChoice choice{config, {}, {}};
  choice.config.data.clear();
  std::set<std::string> found;
  std::vector<std::string> known;
  for (const DataOptions& options : config.data) {
    DataOptions all = options;
    all.limit.reset();
    all.offset = 0;
    all.sample_ids.clear();
    all.on_problem = OnProblem::kRecord;  // of samples that may not be chosen
    const std::unique_ptr<Tokenizer> tokenizer =
        options.tokens ? engines.tokenizer(config.models.front()) : nullptr;
    DataSet set = read_data(all, /*check_picture=*/{}, tokenizer.get());
    DataOptions chosen = all;
    chosen.on_problem = options.on_problem;
    for (const Sample& sample : set.samples) {
      known.push_back(sample.id);
      if (std::find(ids.begin(), ids.end(), sample.id) == ids.end()) continue;
      chosen.sample_ids.push_back(sample.id);
      found.insert(sample.id);
    }
    if (chosen.sample_ids.empty()) {
      choice.left_out.push_back(options.name);
      continue;
    }
    choice.whole.emplace(options.name, std::move(set));
    choice.config.data.push_back(std::move(chosen));
  }
  for (const std::string& id : ids) {
    if (found.contains(id)) continue;
    const std::string near = nearest_name(id, known);
    fail("--sample-id {}: no data set of the sweep has that sample{}", id,
         near.empty() ? fmt::format(" among its {}", known.size())
                      : fmt::format("; did you mean '{}'?", near));
  }
  drop_exclusions(choice.config);
  if (plan_cells(choice.config).empty())
    fail("--sample-id {}: every cell of its data set is excluded", fmt::join(ids, ","));
  return choice;
}

SweepOutcome run_sweep(const SweepConfig& whole, const RunOptions& options, const Engines& engines,
                       Progress& progress) {
  std::optional<SampleChoice> choice;
  if (!options.sample_ids.empty()) {
    choice = choose_samples(whole, options.sample_ids, engines);
    for (const std::string& name : choice->left_out)
      progress.say(fmt::format("data set {} is left out: it has none of the samples", name));
  }
  const SweepConfig& config = choice ? choice->config : whole;
  const EvaluationSettings settings = config.evaluation();
  const std::vector<CellGroup> groups = plan_cells(config);
  for (const CellGroup& group : groups) engines.check(group.model, group.cells, settings);
  const SweepData data(config, engines);
  std::vector<GroupWork> work;
  for (const CellGroup& group : groups) {
    const DataSet& set = data.of(group);
    work.push_back({group, set, problems_of(group, set, settings, engines)});
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
  RecordWriter writer(config.output, std::move(header), config.metrics.text, options.resume);
  // A folder that stays about more samples keeps what it says of them.
  if (!part) writer.write_samples(sample_lines(groups, data));

  SweepOutcome outcome;
  FailureCount failures;
  int64_t total = 0;
  int64_t done = 0;
  for (GroupWork& item : work) {
    require_same_items(writer.stored(), item.group, item.set, config.output);
    outcome.cells += static_cast<int64_t>(item.group.cells.size());
    total += static_cast<int64_t>(item.set.samples.size());
    for (size_t i = 0; i < item.set.samples.size(); ++i) {
      if (!complete(writer.stored(), item.group, item.set.samples[i])) item.open.push_back(i);
    }
    done += static_cast<int64_t>(item.set.samples.size() - item.open.size());
  }
  progress.begin(total, done);

  std::unique_ptr<SampleEvaluator> evaluator;
  std::string open_model;
  int64_t failed = 0;
  try {
    for (GroupWork& item : work) {
      const CellGroup& group = item.group;
      const DataSet& set = item.set;
      RunningPerplexity perplexity(group);
      for (const Sample& sample : set.samples) {
        if (!complete(writer.stored(), group, sample)) continue;
        for (const Cell& cell : group.cells)
          perplexity.add(*writer.stored().find(cell.id, sample.id));
      }
      GroupDetails details(group, set, config.detail_samples, writer);
      if (item.open.empty() && details.empty()) continue;
      if (options.should_stop()) throw Interrupted();
      if (open_model != group.model_name) {
        evaluator.reset();  // two models need not fit into memory at once
        progress.say(fmt::format("loading {} ({}, {})", group.model.path.string(),
                                 group.model.device, group.model.dtype));
        evaluator = engines.open(group.model, settings, options.should_stop);
        open_model = group.model_name;
        writer.note_engine(open_model, evaluator->identity());
      }
      GroupRecorder recorder(config, group, *evaluator);
      require_same_keys(writer.stored(), group, set, recorder, config.output);
      progress.say(fmt::format("{} on {}: {} cells, {} of {} samples to do", group.model_name,
                               group.data.name, group.cells.size(), item.open.size(),
                               set.samples.size()));
      details.keep_all_but(item.open_samples(), *evaluator, progress);
      while (!item.open.empty()) {
        if (options.should_stop()) throw Interrupted();
        const size_t next = item.open.front();
        const GroupRecorder::Evaluation evaluation =
            recorder.evaluate(set.samples[next], item.problems[next]);
        writer.append(to_append(writer.stored(), evaluation.records));
        item.open.pop_front();
        details.keep(set.samples[next], *evaluator, progress);
        for (const Record& record : evaluation.records) {
          failures.add(record);
          perplexity.add(record);
        }
        progress.sample_done(config.metrics.perplexity ? perplexity.text() : "");
        failed += evaluation.failures;
        if (options.max_failures && failed >= *options.max_failures) throw TooManyFailures();
      }
    }
  } catch (const Interrupted&) {
    outcome.interrupted = true;
  } catch (const TooManyFailures&) {
    for (const GroupWork& item : work)
      outcome.undone_cells += item.open.empty() ? 0 : std::ssize(item.group.cells);
    outcome.stopped = outcome.undone_cells > 0;
  }
  progress.finish();
  failures.report(outcome);
  return outcome;
}

}  // namespace elastikv
