#include "sweep/torch_evaluator.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/device.h"
#include "base/device_stopwatch.h"
#include "base/error.h"
#include "base/utf8.h"
#include "models/decode_graphs.h"
#include "models/registry.h"
#include "runtime/batch_memory.h"
#include "runtime/device_health.h"
#include "runtime/evaluation.h"
#include "runtime/generation.h"
#include "runtime/loading.h"
#include "runtime/memory.h"
#include "runtime/option_scores.h"
#include "runtime/prompt_encoder.h"
#include "runtime/prompt_split.h"
#include "runtime/sequence.h"
#include "runtime/stop_texts.h"
#include "runtime/threads.h"
#include "sweep/choices.h"
#include "sweep/estimate.h"
#include "sweep/look.h"
#include "sweep/plan.h"
#include "sweep/prefills.h"

namespace elastikv {

namespace {

/// A model with what turns samples into its prompts.
class TorchModel final {
 public:
  TorchModel(const ModelChoice& choice, const EvaluationSettings& settings, RunWatch watch,
             const EngineOptions& options)
      : settings_(settings),
        watch_(std::move(watch)),
        device_(parse_device(choice.device)),
        reader_(make_reader(choice)),
        threads_(device_.is_cpu() ? count_parameters(choice.path)
                                  : std::numeric_limits<int64_t>::max()),
        model_(open_model(choice.path, device_, parse_dtype(choice.dtype))),
        graphs_(options.graphs ? DecodeGraphs::on(device_) : nullptr) {}

  const EvaluationSettings& settings() const { return settings_; }
  void throw_if_stopped() const {
    if (watch_.should_stop && watch_.should_stop()) throw Interrupted();
  }
  /// Tells who watches where the work is, unless it was asked to stop.
  void at(const PhaseProgress& progress) const {
    throw_if_stopped();
    if (watch_.on_phase) watch_.on_phase(progress);
  }
  c10::Device device() const { return device_; }
  const PromptReader& reader() const { return reader_; }
  const LanguageModel& language() const { return model_->language(); }
  /// Of its decode steps; null where they run by themselves.
  DecodeGraphs* graphs() const { return graphs_.get(); }
  /// They hold memory.
  void forget_graphs() {
    if (graphs_) graphs_ = DecodeGraphs::on(device_);
  }

  /// The prompt after a prefill for each moment of compression, with the statistics that the cells
  /// need; column sums, if asked for, of the first.
  Prefills encode(const Sample& sample, const TokenizedPrompt& prompt, std::span<const Cell> cells,
                  bool column_sums) const {
    const EncodedImages images = encode_images(*model_, reader_, sample.images);
    std::vector<Prefill> prefills;
    for (const CompressAt moment : moments_of(cells)) {
      StatisticsRequest request;
      for (const Cell& cell : cells) {
        if (cell.at() == moment) request = request | strategy_of(cell.strategy).needs();
      }
      if (column_sums && prefills.empty()) request.prefill.column_sums = true;
      const int64_t tokens = compressed_tokens(reader_, sample, prompt, moment);
      EncodedPrompt encoded =
          prefill_prompt(*model_, reader_, first_tokens(prompt, tokens), images, request,
                         seed_of(settings_.seed, sample), [&](int64_t layer, int64_t layers) {
                           at({"prefill", "layer", layer, layers, /*rows=*/0});
                         });
      if (prefills.empty()) encoded.seconds.image += images.seconds;
      prefills.push_back({moment, std::move(encoded), ids_behind(prompt, tokens)});
    }
    return Prefills(std::move(prefills));
  }

  /// Tells the failures of the device from those of a sample.
  template <typename Work>
  std::invoke_result_t<Work> on_device(Work work) const {
    try {
      return work();
    } catch (const Interrupted&) {
      throw;
    } catch (const std::exception& error) {
      if (is_out_of_memory(error)) throw OutOfMemory(out_of_memory_text(error));
      if (is_device_lost(error, device_)) throw DeviceLost(error.what());
      throw;
    }
  }

 private:
  EvaluationSettings settings_;
  RunWatch watch_;
  c10::Device device_;
  PromptReader reader_;
  ModelThreads threads_;  // beside a GPU, all
  std::unique_ptr<Model> model_;
  std::unique_ptr<DecodeGraphs> graphs_;
};

/// A cell's sequence, compressed.
Sequence sequence_of(const TorchModel& model, const Prefills& prefills, const Cell& cell) {
  return {model.language(), prefills.of(cell), strategy_of(cell.strategy), make_budget(cell.budget),
          prefills.late(cell)};
}

/// Adds the positions of a question that is kept to those that a cell keeps of what comes before.
void add_late(const Prefills& prefills, const Cell& cell,
              std::vector<std::vector<std::vector<int64_t>>>& kept) {
  const LateTokens late = prefills.late(cell);
  if (!late.kept) return;
  const int64_t begin = prefills.of(cell).statistics.prompt_tokens;
  for (auto& groups : kept) {
    for (std::vector<int64_t>& positions : groups) {
      for (int64_t i = 0; i < std::ssize(late.ids); ++i) positions.push_back(begin + i);
    }
  }
}

/// The prompt of the last sample, for a look at it.
struct LastPrompt {
  const Sample* sample = nullptr;
  std::optional<Prefills> encoded;

  /// Keeps a prompt if a look would compute the same: what the cells need is what it needs.
  void keep(const Sample& of, Prefills prompt) {
    const auto& layers = prompt.first().statistics.layers;
    if (layers.empty() || !layers.front().column_sums.defined()) return;
    sample = &of;
    encoded.emplace(std::move(prompt));
  }
  void forget() {
    sample = nullptr;
    encoded.reset();
  }
};

/// Runs the cells of a sample: one image encoding, a prefill for each moment of compression, then
/// as many cells as one batch as fit into memory.
class TorchRun final : public SampleRun {
 public:
  /// `last`: where the prompt stays when the run is over.
  TorchRun(const TorchModel& model, const Sample& sample, std::span<const Cell> cells,
           LastPrompt& last)
      : model_(model),
        last_(last),
        settings_(settings_of(model.settings(), sample)),
        sample_(sample),
        cells_(cells),
        prompt_(prompt_of(model.reader(), sample)),
        answer_(answer_of(model.reader(), sample, settings_)),
        options_(options_of(model.reader(), sample)) {
    SampleSize size{.answer_tokens = std::ssize(answer_)};
    for (const std::vector<int64_t>& option : options_)
      size.option_tokens.push_back(std::ssize(option));
    model.reader().require_room(prompt_, new_tokens(settings_, size),
                                fmt::format("the prompt of sample '{}'", sample.id));
    if (settings_.cells_together) encode(cells);
  }

  ~TorchRun() override {
    if (settings_.cells_together && encoded_) last_.keep(sample_, std::move(*encoded_));
  }
  TorchRun(const TorchRun&) = delete;
  TorchRun& operator=(const TorchRun&) = delete;

  SampleOutcome evaluate(std::span<const size_t> which) override {
    return model_.on_device([&] { return run(which); });
  }

 private:
  /// What a run's phases took.
  struct PhaseSeconds {
    std::vector<DeviceSeconds> compression;  // of the running cells
    DeviceSeconds scoring;
    DeviceSeconds generation;
  };

  void encode(std::span<const Cell> cells) {
    encoded_.reset();
    encoded_.emplace(model_.encode(sample_, prompt_, cells, /*column_sums=*/false));
    encoding_told_ = false;
  }

  SampleOutcome run(std::span<const size_t> which) {
    if (!settings_.cells_together) {
      // To be timed by itself, a cell has a prefill of its own.
      which = which.first(1);
      encode(cells_.subspan(which.front(), 1));
    }
    SampleOutcome outcome;
    outcome.prompt_tokens = std::ssize(prompt_.ids);
    outcome.image_tokens = static_cast<int64_t>(prompt_.placeholders.size());
    std::vector<size_t> running;  // indices into the outcome of cells whose compression went well
    std::vector<Sequence> compressed = compress(which, outcome, running);
    PhaseSeconds seconds;
    for (const Sequence& sequence : compressed)
      seconds.compression.push_back(sequence.compression_seconds());
    if (!running.empty()) run_phases(which, running, std::move(compressed), outcome, seconds);
    tell(seconds, running, outcome);
    return outcome;
  }

  /// Writes down the times of a run, at its end, when the device is done with all phases: before,
  /// reading a time would wait for it.
  void tell(const PhaseSeconds& seconds, const std::vector<size_t>& running,
            SampleOutcome& outcome) {
    for (size_t r = 0; r < running.size(); ++r)
      outcome.cells[running[r]].seconds.compression = seconds.compression[r].value();
    outcome.seconds.scoring = seconds.scoring.value();
    outcome.seconds.generation = seconds.generation.value();
    // What all cells share is told once.
    if (std::exchange(encoding_told_, true)) return;
    const SharedSeconds shared = encoded_->seconds();
    outcome.seconds.image = shared.image;
    outcome.seconds.prefill = shared.prefill;
    outcome.seconds.statistics = shared.statistics;
  }

  /// Compresses the prompt for the first of the cells, as many as can run together.
  std::vector<Sequence> compress(std::span<const size_t> which, SampleOutcome& outcome,
                                 std::vector<size_t>& running) {
    std::vector<Sequence> compressed;
    BatchMemory memory(model_.language(), model_.device(),
                       {.scored_tokens = settings_.perplexity ? std::ssize(answer_) : 0,
                        .generated_tokens = settings_.generate ? settings_.max_new_tokens : 0,
                        .late_tokens = encoded_->most_late()});
    for (const size_t i : which) {
      CellOutcome cell;
      try {
        compressed.push_back(sequence_of(model_, *encoded_, cells_[i]));
      } catch (const Error& error) {
        cell.error = error.what();
        outcome.cells.push_back(std::move(cell));
        continue;
      } catch (const std::exception& error) {
        if (compressed.empty() || !is_out_of_memory(error)) throw;
        break;
      }
      const Sequence& sequence = compressed.back();
      if (!memory.add(sequence) && compressed.size() > 1) {
        compressed.pop_back();
        break;
      }
      describe(sequence, cell);
      if (cells_[i].at() != CompressAt::kPromptEnd) cell.compressed_tokens = sequence.tokens_seen();
      running.push_back(outcome.cells.size());
      outcome.cells.push_back(std::move(cell));
    }
    return compressed;
  }

  static void describe(const Sequence& sequence, CellOutcome& cell) {
    cell.requested_tokens = sequence.requested_slots();
    const KVCache& cache = sequence.cache();
    for (int64_t layer = 0; layer < cache.shape().layers; ++layer)
      cell.kept_tokens.add_layer(cache.head_lengths(layer));
    cell.entry_bytes = cache.entry_bytes();
    cell.cache_bytes_prefill = cache.bytes();
    cell.cache_bytes_end = cell.cache_bytes_prefill;
  }

  /// The last phase takes the compressed sequences themselves, so that what cells merged is there
  /// once.
  void run_phases(std::span<const size_t> which, const std::vector<size_t>& running,
                  std::vector<Sequence> compressed, SampleOutcome& outcome, PhaseSeconds& seconds) {
    if (!settings_.generate && !settings_.choose) {
      if (settings_.perplexity)
        seconds.scoring = score(which, running, std::move(compressed), outcome);
      return;
    }
    // The other phase needs them, too.
    if (settings_.perplexity)
      seconds.scoring = score(which, running, restart_all(compressed), outcome);
    seconds.generation = settings_.choose ? choose(running, std::move(compressed), outcome)
                                          : generate(running, std::move(compressed), outcome);
  }

  DeviceSeconds score(std::span<const size_t> which, const std::vector<size_t>& running,
                      std::vector<Sequence> sequences, SampleOutcome& outcome) {
    DeviceStopwatch watch(model_.device());
    for (Sequence& sequence : sequences) sequence.reserve(std::ssize(answer_));
    // Without the full cache (it failed, or does not fit) there is nothing to diverge from.
    const size_t first = which[running.front()];
    const bool reference_runs = first == 0 && cells_.front().is_full();
    ForcedOptions options;
    options.score_last_token = settings_.score_last_token;
    options.one_pass = settings_.one_pass;
    options.graphs = model_.graphs();
    options.on_step = [&](int64_t done, int64_t of, int64_t rows) {
      model_.at({"scoring", "token", done, of, rows});
    };
    if (reference_runs || reference_.first.defined()) options.reference = &reference_;
    const std::vector<ForcedScores> scores = teacher_force(
        model_.language(), encoded_->first(), pointers_to(sequences), answer_, options);
    for (size_t r = 0; r < running.size(); ++r) {
      CellOutcome& cell = outcome.cells[running[r]];
      cell.nll.assign(scores[r].nll.begin(), scores[r].nll.end());
      for (const double nll : scores[r].nll) cell.nll_sum += nll;
      cell.scored_tokens = static_cast<int64_t>(scores[r].nll.size());
      cell.cache_bytes_end = sequences[r].cache().bytes();
      cell.error = scores[r].failure;
      if (settings_.agreement && options.reference != nullptr && which[running[r]] != 0)
        cell.mean_kl = scores[r].mean_kl;
    }
    return watch.lap();
  }

  DeviceSeconds generate(const std::vector<size_t>& running, std::vector<Sequence> sequences,
                         SampleOutcome& outcome) const {
    DeviceStopwatch watch(model_.device());
    for (Sequence& sequence : sequences) sequence.reserve(settings_.max_new_tokens);
    GreedyOptions options;
    options.max_new_tokens = settings_.max_new_tokens;
    options.end_tokens = model_.reader().end_tokens();
    const Tokenizer& tokenizer = model_.reader().tokenizer();
    std::optional<StopTexts> stop;
    if (!sample_.stop.empty()) {
      stop.emplace(sample_.stop, tokenizer, sequences.size());
      options.ends = [&](size_t sequence, int64_t token) { return stop->add(sequence, token); };
    }
    options.graphs = model_.graphs();
    options.on_step = [&](int64_t done, int64_t of, int64_t rows) {
      model_.at({"generation", "token", done, of, rows});
    };
    const std::vector<GreedyText> texts =
        generate_greedy(model_.language(), encoded_->first(), pointers_to(sequences), options);
    model_.throw_if_stopped();
    for (size_t r = 0; r < running.size(); ++r) {
      CellOutcome& cell = outcome.cells[running[r]];
      cell.token_ids = texts[r].token_ids;
      cell.text = tokenizer.decode(cell.token_ids, /*skip_special=*/true);
      if (stop) cell.text = stop->cut(std::move(cell.text));
      cell.finished = texts[r].finished;
      if (cell.error.empty()) cell.error = texts[r].failure;
      cell.cache_bytes_end = sequences[r].cache().bytes();
    }
    return watch.lap();
  }

  /// Scores the options of the question; the likeliest one is the cell's text.
  DeviceSeconds choose(const std::vector<size_t>& running, std::vector<Sequence> sequences,
                       SampleOutcome& outcome) const {
    DeviceStopwatch watch(model_.device());
    OptionScoring scoring;
    scoring.one_pass = settings_.one_pass;
    scoring.graphs = model_.graphs();
    scoring.on_step = [&](int64_t done, int64_t of, int64_t /*rows*/) {
      model_.at({"options", "option", done, of, /*rows=*/0});
    };
    const std::vector<OptionScores> scores =
        score_options(model_.language(), model_.device(), encoded_->first(), pointers_to(sequences),
                      options_, scoring);
    model_.throw_if_stopped();
    for (size_t r = 0; r < running.size(); ++r) {
      const std::vector<double>& likelihoods = scores[r].log_likelihoods;
      CellOutcome& cell = outcome.cells[running[r]];
      for (size_t o = 0; o < options_.size(); ++o) {
        const ScoredOption& option = sample_.scored_options[o];
        cell.options.push_back({option.letter, likelihoods[o], std::ssize(options_[o]),
                                std::ssize(option.text),
                                static_cast<int64_t>(to_characters(option.text).size())});
      }
      const auto likeliest = static_cast<size_t>(
          std::max_element(likelihoods.begin(), likelihoods.end()) - likelihoods.begin());
      cell.text = sample_.scored_options[likeliest].text;
      cell.token_ids = options_[likeliest];
      cell.finished = true;
      if (cell.error.empty()) cell.error = scores[r].failure;
      cell.cache_bytes_end = scores[r].cache_bytes_end;
    }
    return watch.lap();
  }

  const TorchModel& model_;
  LastPrompt& last_;
  const EvaluationSettings settings_;
  const Sample& sample_;
  std::span<const Cell> cells_;
  TokenizedPrompt prompt_;
  std::vector<int64_t> answer_;
  std::vector<std::vector<int64_t>> options_;  // that are scored
  std::optional<Prefills> encoded_;
  bool encoding_told_ = false;  // whether an outcome has the times of the last encoding
  ForcedReference reference_;   // what the full cache made of the answer
};

class TorchEvaluator final : public SampleEvaluator {
 public:
  TorchEvaluator(const ModelChoice& choice, const EvaluationSettings& settings, RunWatch watch,
                 const EngineOptions& options)
      : model_(choice, settings, std::move(watch), options) {}

  std::unique_ptr<SampleRun> begin(const Sample& sample, std::span<const Cell> cells) override {
    last_.forget();
    return model_.on_device(
        [&] { return std::make_unique<TorchRun>(model_, sample, cells, last_); });
  }

  std::optional<SampleDetail> look(const Sample& sample, std::span<const Cell> cells) override {
    return model_.on_device([&] { return look_at(sample, cells); });
  }

  void release_memory() override {
    last_.forget();
    model_.forget_graphs();
    model_.on_device([&] { release_free_memory(model_.device()); });
  }

 private:
  SampleDetail look_at(const Sample& sample, std::span<const Cell> cells) {
    const PromptReader& reader = model_.reader();
    const TokenizedPrompt prompt = prompt_of(reader, sample);
    reader.require_room(prompt, /*new_tokens=*/0,
                        fmt::format("the prompt of sample '{}'", sample.id));
    const Prefills encoded = last_.sample == &sample
                                 ? *std::move(last_.encoded)
                                 : model_.encode(sample, prompt, cells, /*column_sums=*/true);
    last_.forget();
    SampleDetail detail = look_at_prompt(reader, sample, prompt, encoded.first().statistics);
    for (const Cell& cell : cells) {
      auto& kept = detail.kept.emplace_back();
      if (cell.is_full()) continue;
      try {
        kept = kept_positions(sequence_of(model_, encoded, cell).cache());
        add_late(encoded, cell, kept);
      } catch (const Error&) {
        kept.clear();  // the cell failed when it was evaluated, too: its record says why
      }
    }
    return detail;
  }

  TorchModel model_;
  LastPrompt last_;
};

}  // namespace

std::unique_ptr<SampleEvaluator> open_torch_evaluator(const ModelChoice& model,
                                                      const EvaluationSettings& settings,
                                                      RunWatch watch,
                                                      const EngineOptions& options) {
  return std::make_unique<TorchEvaluator>(model, settings, std::move(watch), options);
}

}  // namespace elastikv
