#include "sweep/runner.h"

#include <cmath>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "base/device.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/version.h"
#include "metrics/agreement.h"
#include "metrics/text_metrics.h"
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
      : config_(config), group_(group), evaluator_(evaluator) {
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

  /// One record per cell.
  std::vector<Record> evaluate(const Sample& sample) const {
    SampleOutcome outcome;
    try {
      outcome = evaluator_.evaluate(sample, group_.cells);
      ELASTIKV_ASSERT(outcome.cells.size() == group_.cells.size(), "{} outcomes of {} cells",
                      outcome.cells.size(), group_.cells.size());
    } catch (const Interrupted&) {
      throw;
    } catch (const InternalError&) {
      throw;
    } catch (const std::exception& error) {
      outcome = SampleOutcome{};
      outcome.cells.resize(group_.cells.size());
      for (CellOutcome& cell : outcome.cells) cell.error = one_line(error.what());
    }
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
    compare(sample, records);
    return records;
  }

 private:
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
  SampleEvaluator& evaluator_;
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

/// Error when a stored record speaks of another question, answer or picture under the same id.
void require_same_items(const RecordTable& stored, const CellGroup& group, const DataSet& data,
                        const std::filesystem::path& folder) {
  for (const Sample& sample : data.samples) {
    for (const Cell& cell : group.cells) {
      const Record* record = stored.find(cell.id, sample.id);
      if (record != nullptr && record->item != sample.content) {
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
      if (record != nullptr && record->key != recorder.key(i, sample)) {
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

SweepHeader make_header(const SweepConfig& config, const RunOptions& options,
                        const SweepData& data) {
  SweepHeader header;
  header.name = config.name;
  header.config = config.json();
  header.records_hash = config.records_hash();
  header.program = version();
  header.provenance = options.provenance;
  for (const auto& [name, set] : data.by_name()) {
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

}  // namespace

int SweepOutcome::exit_code() const {
  if (interrupted) return 130;
  return failed_cells > 0 ? 2 : 0;
}

SweepData::SweepData(const SweepConfig& config, const Engines& engines) {
  const ModelChoice& first = config.models.front();
  for (const DataOptions& options : config.data) {
    const DataSet& common = read(options, first, engines);
    by_name_[options.name] = &common;
    for (const ModelChoice& model : config.models) {
      const DataSet& set = read(options, model, engines);
      if (set.samples.size() == common.samples.size()) continue;
      fail(
          "{}: {} cuts it into {} windows, {} into {}; with 'limit: {}' both have as many, to be "
          "compared",
          options.path.string(), first.path.string(), common.samples.size(), model.path.string(),
          set.samples.size(), std::min(common.samples.size(), set.samples.size()));
    }
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

SweepOutcome run_sweep(const SweepConfig& config, const RunOptions& options, const Engines& engines,
                       Progress& progress) {
  const EvaluationSettings settings = config.evaluation();
  const std::vector<CellGroup> groups = plan_cells(config);
  for (const CellGroup& group : groups) engines.check(group.model, group.cells, settings);
  const SweepData data(config, engines);
  for (const CellGroup& group : groups) {
    engines.check_samples(group.model, group.cells, data.of(group).samples, settings);
  }
  RecordWriter writer(config.output, make_header(config, options, data), config.metrics.text,
                      options.resume);
  writer.write_samples(sample_lines(groups, data));

  SweepOutcome outcome;
  FailureCount failures;
  int64_t total = 0;
  int64_t done = 0;
  for (const CellGroup& group : groups) {
    const DataSet& set = data.of(group);
    require_same_items(writer.stored(), group, set, config.output);
    outcome.cells += static_cast<int64_t>(group.cells.size());
    total += static_cast<int64_t>(set.samples.size());
    for (const Sample& sample : set.samples) {
      done += complete(writer.stored(), group, sample) ? 1 : 0;
    }
  }
  progress.begin(total, done);

  std::unique_ptr<SampleEvaluator> evaluator;
  std::string open_model;
  try {
    for (const CellGroup& group : groups) {
      const DataSet& set = data.of(group);
      RunningPerplexity perplexity(group);
      std::vector<const Sample*> open;
      for (const Sample& sample : set.samples) {
        if (complete(writer.stored(), group, sample)) {
          for (const Cell& cell : group.cells) {
            perplexity.add(*writer.stored().find(cell.id, sample.id));
          }
        } else {
          open.push_back(&sample);
        }
      }
      GroupDetails details(group, set, config.detail_samples, writer);
      if (open.empty() && details.empty()) continue;
      if (options.should_stop()) throw Interrupted();
      if (open_model != group.model_name) {
        evaluator.reset();  // two models need not fit into memory at once
        progress.say(fmt::format("loading {} ({}, {})", group.model.path.string(),
                                 group.model.device, group.model.dtype));
        evaluator = engines.open(group.model, settings, options.should_stop);
        open_model = group.model_name;
        writer.note_engine(open_model, evaluator->identity());
      }
      const GroupRecorder recorder(config, group, *evaluator);
      require_same_keys(writer.stored(), group, set, recorder, config.output);
      progress.say(fmt::format("{} on {}: {} cells, {} of {} samples to do", group.model_name,
                               group.data.name, group.cells.size(), open.size(),
                               set.samples.size()));
      details.keep_all_but(open, *evaluator, progress);
      for (const Sample* sample : open) {
        if (options.should_stop()) throw Interrupted();
        const std::vector<Record> records = recorder.evaluate(*sample);
        writer.append(to_append(writer.stored(), records));
        details.keep(*sample, *evaluator, progress);
        for (const Record& record : records) {
          failures.add(record);
          perplexity.add(record);
        }
        progress.sample_done(config.metrics.perplexity ? perplexity.text() : "");
      }
    }
  } catch (const Interrupted&) {
    outcome.interrupted = true;
  }
  progress.finish();
  failures.report(outcome);
  return outcome;
}

}  // namespace elastikv
