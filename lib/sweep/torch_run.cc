#include "sweep/torch_run.h"

#include <algorithm>
#include <exception>
#include <iterator>
#include <numeric>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "runtime/batch_memory.h"
#include "runtime/late_tokens.h"
#include "runtime/option_scores.h"
#include "sweep/choices.h"
#include "sweep/estimate.h"
#include "sweep/written_texts.h"

namespace elastikv {
namespace {

void describe(const Sequence& sequence, CellOutcome& cell) {
  cell.requested_tokens = sequence.requested_slots();
  const KVCache& cache = sequence.cache();
  cell.kept_tokens = LayerCounts();
  for (int64_t layer = 0; layer < cache.shape().layers; ++layer)
    cell.kept_tokens.add_layer(cache.head_lengths(layer));
  cell.entry_bytes = cache.entry_bytes();
  cell.cache_bytes_prefill = cache.bytes();
  cell.cache_bytes_end = cell.cache_bytes_prefill;
}

/// Keeps a cell of a conversation's first turn for the next one, if its policy can go on.
void keep(size_t cell, const Sequence& sequence, ConversationCells& kept) {
  try {
    kept.put(cell, sequence, {});
  } catch (const Error&) {
    return;  // the next turn says so
  }
}

}  // namespace

TorchRun::TorchRun(const TorchModel& model, std::span<const Sample* const> samples,
                   std::span<const Cell> cells, SharedContext* shared)
    : model_(model),
      shared_(shared),
      cells_(cells),
      cells_together_(model.settings().cells_together) {
  for (const Sample* sample : samples) questions_.push_back(read(*sample));
  if (cells_together_) encode(cells);
}

TorchRun::Question TorchRun::read(const Sample& sample) const {
  const PromptReader& reader = model_.reader();
  Question question;
  question.sample = &sample;
  question.settings = settings_of(model_.settings(), sample);
  if (sample.earlier.empty()) {
    question.prompt = prompt_of(reader, sample);
  } else {
    question.conversation = conversation_of(reader, sample);
    question.first = first_turn(sample);
    question.prompt = question.conversation->whole;
  }
  question.answer = answer_of(reader, sample, question.settings);
  question.options = options_of(reader, sample);
  SampleSize size{.answer_tokens = std::ssize(question.answer)};
  for (const std::vector<int64_t>& option : question.options)
    size.option_tokens.push_back(std::ssize(option));
  // Of what a cell itself writes the length is known once it is written (ask_question).
  if (sample.history == HistoryAnswers::kReference) {
    reader.require_room(question.prompt, new_tokens(question.settings, size),
                        fmt::format("the prompt of sample '{}'", sample.id));
  }
  return question;
}

void TorchRun::encode(std::span<const Cell> cells) {
  encoding_told_ = false;
  for (Question& question : questions_) {
    question.encoded.reset();
    ConversationCells* kept = kept_cells();
    if (kept != nullptr && kept->leads_to(*question.sample)) {
      question.encoded = kept->prefills();
      encoding_told_ = true;  // by the turn that it was made for
      continue;
    }
    question.encoded = std::make_shared<Prefills>(
        model_.encode(question.begins_with(), question.first_prompt(), cells,
                      /*column_sums=*/false, question.sample->turn > 0 ? nullptr : shared_));
    if (kept != nullptr) kept->begin(*question.sample, question.encoded, cells_.size());
  }
}

ConversationCells* TorchRun::kept_cells() const {
  const bool keeps = shared_ != nullptr && cells_together_ && questions_.size() == 1 &&
                     questions_.front().sample->turn > 0;
  return keeps ? shared_->conversation() : nullptr;
}

std::optional<Prefills> TorchRun::take_prompt() {
  if (!cells_together_) return std::nullopt;
  const std::shared_ptr<Prefills> encoded = std::move(questions_.front().encoded);
  if (encoded == nullptr || encoded.use_count() > 1) return std::nullopt;
  return std::move(*encoded);
}

SampleOutcome TorchRun::evaluate(std::span<const size_t> cells) {
  ELASTIKV_ASSERT(questions_.size() == 1, "{} samples run as one", questions_.size());
  return model_.on_device([&] { return std::move(run(cells).front()); });
}

std::vector<SampleOutcome> TorchRun::evaluate_all() {
  std::vector<size_t> all(cells_.size());
  std::iota(all.begin(), all.end(), size_t{0});
  return model_.on_device([&] { return run(all); });
}

TorchRun::Outcomes TorchRun::run(std::span<const size_t> which) {
  if (!cells_together_) {
    // To be timed by itself, a cell has a prefill of its own.
    which = which.first(1);
    encode(cells_.subspan(which.front(), 1));
  }
  Outcomes outcomes;
  for (const Question& question : questions_) {
    SampleOutcome& outcome = outcomes.emplace_back();
    outcome.prompt_tokens = std::ssize(question.prompt.ids);
    outcome.image_tokens = std::ssize(question.prompt.placeholders);
  }
  Batch batch = compress(which, outcomes);
  DeviceSeconds turns;
  if (questions_.front().conversation) {
    DeviceStopwatch watch(model_.device());
    go_on(batch, outcomes);
    turns = watch.lap();
  }
  PhaseSeconds seconds = run_phases(batch, outcomes);
  seconds.turns = turns;
  tell(batch, seconds, outcomes);
  return outcomes;
}

TorchRun::Running TorchRun::compress(size_t cell, size_t question,
                                     std::span<const Running> earlier) const {
  const Cell& of = cells_[cell];
  const Prefills& prefills = *questions_[question].encoded;
  const ConversationCells* kept = kept_cells();
  if (kept != nullptr && kept->sequence(cell) != nullptr)
    return {question, cell, 0, kept->sequence(cell)->branch(), {}, kept->place(cell)};
  const int64_t context = prefills.context(of);
  // What is drawn by the sample's seed is drawn for each.
  if (context != 0 && !draws(of.strategy)) {
    const auto same = std::find_if(earlier.begin(), earlier.end(), [&](const Running& other) {
      return other.cell == cell && questions_[other.question].encoded->context(of) == context;
    });
    if (same != earlier.end())
      return {question, cell, 0, same->sequence.ask(prefills.of(of), prefills.late(of))};
  }
  Running made{question, cell, 0, sequence_of(model_, prefills, of)};
  if (questions_[question].sample->recompress == Recompress::kNever) made.sequence.evict_nothing();
  made.compression = made.sequence.compression_seconds();
  return made;
}

TorchRun::Batch TorchRun::compress(std::span<const size_t> which, Outcomes& outcomes) const {
  BatchPhases phases;
  for (const Question& question : questions_) {
    const EvaluationSettings& settings = question.settings;
    if (settings.perplexity)
      phases.scored_tokens = std::max(phases.scored_tokens, std::ssize(question.answer));
    if (settings.generate)
      phases.generated_tokens = std::max(phases.generated_tokens, settings.max_new_tokens);
    phases.late_tokens = std::max(phases.late_tokens, question.encoded->most_late() +
                                                          std::ssize(question.prompt.ids) -
                                                          std::ssize(question.first_prompt().ids));
  }
  BatchMemory memory(model_.language(), model_.device(), phases);
  Batch batch;
  batch.reserve(which.size() * questions_.size());
  for (const size_t i : which) {
    const size_t before = batch.size();
    for (size_t q = 0; q < questions_.size(); ++q) {
      CellOutcome cell;
      try {
        batch.push_back(compress(i, q, std::span<const Running>(batch).subspan(before)));
      } catch (const Error& error) {
        cell.error = error.what();
        outcomes[q].cells.push_back(std::move(cell));
        continue;
      } catch (const std::exception& error) {
        if (questions_.size() > 1 || batch.empty() || !is_out_of_memory(error)) throw;
        return batch;
      }
      Running& running = batch.back();
      if (!memory.add(running.sequence) && batch.size() > 1) {
        if (questions_.size() > 1)
          throw OutOfMemory(fmt::format("{} questions do not fit together", questions_.size()));
        batch.pop_back();
        return batch;
      }
      describe(running.sequence, cell);
      if (cells_[i].at() != CompressAt::kPromptEnd)
        cell.compressed_tokens = running.sequence.tokens_seen();
      if (ConversationCells* kept = kept_cells(); kept != nullptr && !questions_[q].conversation)
        keep(i, running.sequence, *kept);
      running.place = outcomes[q].cells.size();
      outcomes[q].cells.push_back(std::move(cell));
    }
  }
  return batch;
}

void TorchRun::go_on(Batch& batch, Outcomes& outcomes) const {
  const Question& question = questions_.front();
  const EvaluationSettings& settings = question.settings;
  std::vector<ConversationRow> rows;
  for (Running& running : batch)
    rows.push_back({&cells_[running.cell], &running.sequence, &running.at});
  run_turns_before(model_, *question.sample, *question.conversation, settings.max_new_tokens, rows);
  for (size_t r = 0; r < batch.size(); ++r) {
    if (!rows[r].error.empty()) continue;
    CellOutcome& cell = outcomes.front().cells[batch[r].place];
    describe(batch[r].sequence, cell);
    cell.requested_tokens = batch[r].sequence.slots_allowed();
    cell.compressed_tokens = batch[r].sequence.tokens_seen();
    if (ConversationCells* kept = kept_cells())
      kept->put(batch[r].cell, batch[r].sequence, batch[r].at);
  }
  const SampleSize size{.answer_tokens = std::ssize(question.answer)};
  ask_question(model_, *question.sample, *question.conversation, new_tokens(settings, size), rows);
  Batch there;
  for (size_t r = 0; r < batch.size(); ++r) {
    if (rows[r].error.empty()) {
      there.push_back(std::move(batch[r]));
    } else {
      outcomes.front().cells[batch[r].place].error = rows[r].error;
    }
  }
  batch = std::move(there);
}

TorchRun::PhaseSeconds TorchRun::run_phases(Batch& batch, Outcomes& outcomes) {
  std::vector<std::vector<Running*>> of_question(questions_.size());
  std::vector<Running*> written;
  for (Running& running : batch) {
    of_question[running.question].push_back(&running);
    if (questions_[running.question].settings.generate) written.push_back(&running);
  }
  PhaseSeconds seconds;
  if (batch.empty()) return seconds;
  DeviceStopwatch watch(model_.device());
  if (model_.settings().perplexity) {
    if (model_.settings().generate) run_late(batch, "scoring");
    score(of_question, outcomes);
    seconds.scoring = watch.lap();
  } else if (questions_.front().settings.choose) {
    run_late(batch, "options");
  }
  if (!model_.settings().generate) return seconds;
  for (size_t q = 0; q < questions_.size(); ++q) {
    if (questions_[q].settings.choose && !of_question[q].empty())
      choose(questions_[q], of_question[q], outcomes[q]);
  }
  if (!written.empty()) generate(written, outcomes);
  seconds.generation = watch.lap();
  return seconds;
}

/// Runs what comes after the compression where several restarts would each run it.
void TorchRun::run_late(Batch& batch, std::string_view phase) const {
  std::vector<Sequence*> late;
  for (Running& running : batch) {
    Sequence& sequence = running.sequence;
    if (sequence.late().ids.empty() || !sequence.late_without_policy()) continue;
    sequence.reserve(/*new_tokens=*/0);
    late.push_back(&sequence);
  }
  if (late.empty()) return;
  const auto on_rows = [&](int64_t rows) { model_.at({phase, "token", 0, 1, rows}); };
  begin_answers(model_.language(), late, on_rows, model_.graphs());
}

void TorchRun::score(const std::vector<std::vector<Running*>>& of_question, Outcomes& outcomes) {
  std::vector<Sequence> restarts;
  size_t count = 0;
  for (const std::vector<Running*>& running : of_question) count += running.size();
  restarts.reserve(count);
  ForcedOptions options;
  options.score_last_token = model_.settings().score_last_token;
  options.one_pass = model_.settings().one_pass;
  options.graphs = model_.graphs();
  options.on_step = [&](int64_t done, int64_t of, int64_t rows) {
    model_.at({"scoring", "token", done, of, rows});
  };
  std::vector<ForcedAnswer> answers;
  std::vector<size_t> asked;
  for (size_t q = 0; q < questions_.size(); ++q) {
    Question& question = questions_[q];
    if (of_question[q].empty()) continue;
    std::vector<Sequence*> sequences;
    for (Running* running : of_question[q]) {
      // The last phase takes the compressed sequences themselves, so that what cells merged is
      // there once.
      const bool more = model_.settings().generate;
      if (more) restarts.push_back(running->sequence.restart());
      sequences.push_back(more ? &restarts.back() : &running->sequence);
      sequences.back()->reserve(std::ssize(question.answer));
    }
    // Without the full cache (it failed, or does not fit) there is nothing to diverge from.
    const bool reference_runs = of_question[q].front()->cell == 0 && cells_.front().is_full();
    const bool diverges = reference_runs || question.reference.first.defined();
    answers.push_back(
        {std::move(sequences), question.answer, diverges ? &question.reference : nullptr});
    asked.push_back(q);
  }
  const std::vector<std::vector<ForcedScores>> scores =
      teacher_force(model_.language(), answers, options);
  for (size_t a = 0; a < answers.size(); ++a) {
    const std::vector<Running*>& running = of_question[asked[a]];
    for (size_t r = 0; r < running.size(); ++r) {
      const ForcedScores& score = scores[a][r];
      CellOutcome& cell = outcomes[asked[a]].cells[running[r]->place];
      cell.nll.assign(score.nll.begin(), score.nll.end());
      for (const double nll : score.nll) cell.nll_sum += nll;
      cell.scored_tokens = std::ssize(score.nll);
      cell.cache_bytes_end = answers[a].sequences[r]->cache().bytes();
      cell.error = score.failure;
      if (model_.settings().agreement && answers[a].reference != nullptr && running[r]->cell != 0)
        cell.mean_kl = score.mean_kl;
    }
  }
}

void TorchRun::generate(const std::vector<Running*>& running, Outcomes& outcomes) const {
  std::vector<TextToWrite> texts;
  for (Running* one : running) {
    const Question& question = questions_[one->question];
    texts.push_back({&one->sequence, question.sample, question.settings.max_new_tokens});
  }
  std::vector<WrittenText> written = write_texts(model_, texts);
  for (size_t r = 0; r < running.size(); ++r) {
    CellOutcome& cell = outcomes[running[r]->question].cells[running[r]->place];
    cell.token_ids = std::move(written[r].token_ids);
    cell.text = std::move(written[r].text);
    cell.finished = written[r].finished;
    if (cell.error.empty()) cell.error = written[r].failure;
    cell.cache_bytes_end = running[r]->sequence.cache().bytes();
    if (ConversationCells* kept = kept_cells()) kept->wrote(running[r]->cell, cell.token_ids);
  }
}

void TorchRun::choose(const Question& question, const std::vector<Running*>& running,
                      SampleOutcome& outcome) const {
  OptionScoring scoring;
  scoring.one_pass = question.settings.one_pass;
  scoring.graphs = model_.graphs();
  scoring.on_step = [&](int64_t done, int64_t of, int64_t /*rows*/) {
    model_.at({"options", "option", done, of, /*rows=*/0});
  };
  std::vector<Sequence*> sequences;
  sequences.reserve(running.size());
  for (Running* one : running) sequences.push_back(&one->sequence);
  const std::vector<OptionScores> scores =
      score_options(model_.language(), model_.device(), sequences, question.options, scoring);
  model_.throw_if_stopped();
  for (size_t r = 0; r < running.size(); ++r) {
    const std::vector<double>& likelihoods = scores[r].log_likelihoods;
    CellOutcome& cell = outcome.cells[running[r]->place];
    for (size_t o = 0; o < question.options.size(); ++o) {
      const ScoredOption& option = question.sample->scored_options[o];
      cell.options.push_back({option.letter, likelihoods[o], std::ssize(question.options[o]),
                              std::ssize(option.text),
                              static_cast<int64_t>(to_characters(option.text).size())});
    }
    const auto likeliest = static_cast<size_t>(
        std::max_element(likelihoods.begin(), likelihoods.end()) - likelihoods.begin());
    cell.text = question.sample->scored_options[likeliest].text;
    cell.token_ids = question.options[likeliest];
    cell.finished = true;
    if (cell.error.empty()) cell.error = scores[r].failure;
    cell.cache_bytes_end = scores[r].cache_bytes_end;
  }
}

/// Writes down the times of a run, at its end, when the device is done with all phases: before,
/// reading a time would wait for it.
void TorchRun::tell(const Batch& batch, const PhaseSeconds& seconds, Outcomes& outcomes) {
  const auto samples = static_cast<double>(questions_.size());
  std::vector<double> compression(cells_.size(), 0.0);
  for (const Running& running : batch) compression[running.cell] += running.compression.value();
  for (const Running& running : batch) {
    outcomes[running.question].cells[running.place].seconds.compression =
        compression[running.cell] / samples;
  }
  SharedSeconds shared;
  shared.prefill = seconds.turns.value() / samples;
  shared.scoring = seconds.scoring.value() / samples;
  shared.generation = seconds.generation.value() / samples;
  // What all cells share is told once.
  if (!std::exchange(encoding_told_, true)) {
    for (const Question& question : questions_) {
      const SharedSeconds encoding = question.encoded->seconds();
      shared.image += encoding.image / samples;
      shared.prefill += encoding.prefill / samples;
      shared.statistics += encoding.statistics / samples;
    }
  }
  for (SampleOutcome& outcome : outcomes) outcome.seconds = shared;
}

}  // namespace elastikv
