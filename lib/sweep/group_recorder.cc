#include "sweep/group_recorder.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

#include <fmt/format.h>

#include "base/device.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/version.h"
#include "metrics/text_pair.h"
#include "sweep/question_of.h"

namespace elastikv {
namespace {

/// A perplexity that is no number is a failure of its cell, never a number in a mean.
void require_finite(CellOutcome& outcome) {
  if (!outcome.error.empty()) return;
  ELASTIKV_ASSERT(static_cast<int64_t>(outcome.nll.size()) == outcome.scored_tokens,
                  "{} log likelihoods of {} tokens", outcome.nll.size(), outcome.scored_tokens);
  for (const OptionLikelihood& option : outcome.options) {
    if (std::isfinite(option.log_likelihood)) continue;
    outcome.error = fmt::format("the log likelihood of option {} is not finite", option.letter);
    return;
  }
  bool finite = std::isfinite(outcome.nll_sum);
  for (const float value : outcome.nll) finite = finite && std::isfinite(value);
  if (!finite) {
    outcome.error = "the log likelihood of the answer is not finite";
  } else if (outcome.mean_kl && !std::isfinite(*outcome.mean_kl)) {
    outcome.error = "the divergence from the full cache is not finite";
  }
}

/// How a sample's data set has it answered: where it ends the text to it, or the options that are
/// scored; empty where it says nothing.
std::string answering_text(const Sample& sample) {
  std::string text;
  for (const ScoredOption& option : sample.scored_options)
    text += fmt::format("{}={}:{}", option.letter, option.text.size(), option.text);
  if (sample.max_new_tokens) text += fmt::format("new={} ", *sample.max_new_tokens);
  for (const std::string& stop : sample.stop) text += fmt::format("{}:{}", stop.size(), stop);
  return text;
}

}  // namespace

std::string one_line(std::string text) {
  text.resize(std::min(text.find('\n'), text.size()));
  return text;
}

GroupRecorder::GroupRecorder(const SweepConfig& config, const CellGroup& group,
                             const Engines& engines, std::string revisions, std::string commit)
    : config_(config), group_(group), commit_(std::move(commit)), metrics_(config.metrics) {
  identity_.device = parse_device(group.model.device).is_cpu() ? "cpu" : "cuda";
  identity_.dtype = group.model.dtype;
  identity_.evaluation = evaluation_text(config);
  identity_.program = version();
  identity_.revisions = std::move(revisions);
  for (const Cell& cell : group.cells) {
    strategies_.push_back(engines.strategy_text(cell.strategy));
    identity_.batch +=
        fmt::format("{}:{}{}", strategies_.back().size(), strategies_.back(), cell.budget.text());
  }
  identity_.batch = content_hash(identity_.batch);
  for (size_t i = 0; i < metrics_.scorers().size(); ++i) {
    if (group.metrics_of_others.contains(metrics_.scorers()[i]->name()))
      of_other_data_.push_back(i);
  }
}

std::string GroupRecorder::key(size_t cell, const Sample& sample) const {
  CellIdentity identity = identity_;
  identity.data_item = sample.content;
  if (metrics_.needs_question()) {
    identity.data_item = content_hash(identity.data_item + question_text(question_of(sample)));
  }
  if (const std::string answering = answering_text(sample); !answering.empty())
    identity.data_item = content_hash(identity.data_item + answering);
  // Where its context ends says what is compressed of the very same text.
  if (group_.cells[cell].at() == CompressAt::kBeforeQuestion && sample.context_length > 0) {
    identity.data_item =
        content_hash(fmt::format("{}context={}", identity.data_item, sample.context_length));
  }
  if (sample.recompress != Recompress::kFirstTurn) {
    identity.data_item = content_hash(
        fmt::format("{}recompress={}", identity.data_item, recompress_name(sample.recompress)));
  }
  if (!sample.earlier.empty()) {
    const Cell& of = group_.cells[cell];
    identity.data_item = content_hash(fmt::format(
        "{}history={} question={} context={}", identity.data_item,
        history_answers_name(sample.history), question_entries_name(of.strategy.moment.question),
        of.at() == CompressAt::kBeforeQuestion ? sample.earlier.front().context_length : 0));
  }
  identity.strategy = strategies_[cell];
  identity.budget = group_.cells[cell].budget.text();
  return record_key(identity);
}

GroupRecorder::Evaluation GroupRecorder::evaluate(const Sample& sample,
                                                  SampleEvaluator& evaluator) {
  try {
    SampleOutcome outcome = batches(evaluator).evaluate(sample);
    return evaluation_of(sample, std::move(outcome), batches_->not_tried());
  } catch (const Interrupted&) {
    throw;
  } catch (const DeviceLost&) {
    throw;
  } catch (const InternalError& error) {
    // Our fault, and the sample's misfortune: the others may still be good.
    return bug(sample, error.what());
  } catch (const std::exception& error) {
    return {failed_records(sample, error.what()), 1};
  }
}

std::vector<GroupRecorder::Evaluation> GroupRecorder::evaluate(
    std::span<const Sample* const> samples, SampleEvaluator& evaluator) {
  std::vector<Evaluation> evaluations;
  try {
    std::vector<SampleOutcome> outcomes = batches(evaluator).evaluate(samples);
    for (size_t i = 0; i < outcomes.size(); ++i)
      evaluations.push_back(evaluation_of(*samples[i], std::move(outcomes[i]), /*not_tried=*/0));
  } catch (const Interrupted&) {
    throw;
  } catch (const DeviceLost&) {
    throw;
  } catch (const InternalError& error) {
    evaluations.clear();
    for (const Sample* sample : samples) evaluations.push_back(bug(*sample, error.what()));
  } catch (const std::exception&) {
    // One of them is at fault: by itself each fails for a reason of its own, or does not.
    evaluations.clear();
    for (const Sample* sample : samples) evaluations.push_back(evaluate(*sample, evaluator));
  }
  if (evaluations.empty()) evaluations.push_back(evaluate(*samples.front(), evaluator));
  return evaluations;
}

CellBatches& GroupRecorder::batches(SampleEvaluator& evaluator) {
  if (!batches_) batches_.emplace(evaluator, group_.cells, metrics_.needs_full());
  return *batches_;
}

GroupRecorder::Evaluation GroupRecorder::evaluation_of(const Sample& sample, SampleOutcome outcome,
                                                       int64_t not_tried) const {
  Evaluation evaluation;
  evaluation.records = records_of(sample, std::move(outcome));
  evaluation.failures = std::count_if(evaluation.records.begin(), evaluation.records.end(),
                                      [](const Record& record) { return record.failed(); }) -
                        not_tried;
  compare(sample, evaluation.records);
  return evaluation;
}

GroupRecorder::Evaluation GroupRecorder::bug(const Sample& sample, const std::string& what) const {
  return {failed_records(sample, fmt::format("{}; this is a bug in ElastiKV, please report it",
                                             one_line(what))),
          1};
}

GroupRecorder::Evaluation GroupRecorder::refuse(const Sample& sample,
                                                const std::string& problem) const {
  return {failed_records(sample, problem), 0};
}

std::vector<Record> GroupRecorder::records_of(const Sample& sample, SampleOutcome outcome) const {
  std::vector<Record> records;
  for (size_t i = 0; i < group_.cells.size(); ++i) {
    Record record;
    record.cell = group_.cells[i].id;
    record.sample = sample.id;
    record.item = sample.content;
    record.key = key(i, sample);
    record.commit = commit_;
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

std::vector<Record> GroupRecorder::failed_records(const Sample& sample,
                                                  const std::string& why) const {
  SampleOutcome outcome;
  outcome.cells.resize(group_.cells.size());
  for (CellOutcome& cell : outcome.cells) {
    cell.error = one_line(why);
    if (cell.error.empty()) cell.error = "it failed without a reason";
    cell.failure = Failure::kSample;
  }
  return records_of(sample, std::move(outcome));
}

/// Adds the scores of what metrics compare with the full cache (the first record) or the answers.
void GroupRecorder::compare(const Sample& sample, std::vector<Record>& records) const {
  const Record full = records.front();
  const bool to_full = config_.metrics.reference == TextReference::kFullCache;
  const std::vector<std::string> references =
      to_full ? std::vector<std::string>{full.outcome.text} : sample.accepted();
  const Question question = question_of(sample);
  for (size_t i = 0; i < records.size(); ++i) {
    Record& record = records[i];
    if (record.failed()) continue;
    if (full.failed() && metrics_.needs_full()) {
      record.outcome.error = "no reference: the full cache failed: " + full.outcome.error;
      record.outcome.failure = Failure::kCell;
      continue;
    }
    std::vector<TextPair> texts;
    texts.reserve(references.size());
    for (const std::string& reference : references)
      texts.emplace_back(reference, record.outcome.text);
    record.scores =
        metrics_.score({record.outcome, full.outcome, texts, question}, group_.cells[i].is_full());
    for (const size_t scorer : of_other_data_) record.scores.at(scorer).reset();
  }
}

}  // namespace elastikv
