#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/device.h"
#include "base/error.h"
#include "base/stopwatch.h"
#include "image/picture.h"
#include "models/registry.h"
#include "runtime/device_health.h"
#include "runtime/evaluation.h"
#include "runtime/generation.h"
#include "runtime/loading.h"
#include "runtime/memory.h"
#include "runtime/prompt_encoder.h"
#include "runtime/sequence.h"
#include "sweep/choices.h"
#include "sweep/engine.h"
#include "sweep/estimate.h"
#include "sweep/look.h"
#include "text/tokenizer.h"
#include "weights/checkpoint.h"

namespace elastikv {
namespace {

/// Tokens that may follow a prompt in any of the phases.
int64_t room_needed(const EvaluationSettings& settings, size_t answer_tokens) {
  return std::max(settings.generate ? settings.max_new_tokens : 0,
                  settings.perplexity ? static_cast<int64_t>(answer_tokens) : 0);
}

/// Runs all cells of a sample on a LibTorch model: one picture encoding and one prefill, then all
/// cells as one batch.
class TorchEvaluator final : public SampleEvaluator {
 public:
  TorchEvaluator(const ModelChoice& choice, const EvaluationSettings& settings,
                 std::function<bool()> should_stop)
      : settings_(settings),
        should_stop_(std::move(should_stop)),
        device_(parse_device(choice.device)),
        reader_(make_reader(choice)),
        model_(open_model(choice.path, device_, parse_dtype(choice.dtype))) {}

  SampleOutcome evaluate(const Sample& sample, std::span<const Cell> cells) override {
    return on_device([&] { return evaluate_cells(sample, cells); });
  }

  std::optional<SampleDetail> look(const Sample& sample, std::span<const Cell> cells) override {
    return on_device([&] { return look_at(sample, cells); });
  }

  void release_memory() override {
    on_device([&] { release_free_memory(device_); });
  }

 private:
  /// Tells the failures of a device from those of a sample.
  template <typename Work>
  std::invoke_result_t<Work> on_device(Work work) {
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

  SampleOutcome evaluate_cells(const Sample& sample, std::span<const Cell> cells) {
    if (settings_.cells_together) return evaluate_together(sample, cells);
    SampleOutcome all;
    for (size_t i = 0; i < cells.size(); ++i) {
      SampleOutcome one = evaluate_together(sample, cells.subspan(i, 1));
      all.prompt_tokens = one.prompt_tokens;
      all.image_tokens = one.image_tokens;
      all.seconds.image += one.seconds.image;
      all.seconds.prefill += one.seconds.prefill;
      all.seconds.statistics += one.seconds.statistics;
      all.seconds.scoring += one.seconds.scoring;
      all.cells.push_back(std::move(one.cells[0]));
    }
    return all;
  }

  SampleDetail look_at(const Sample& sample, std::span<const Cell> cells) {
    const TokenizedPrompt prompt = prompt_of(reader_, sample);
    reader_.require_room(prompt, /*new_tokens=*/0,
                         fmt::format("the prompt of sample '{}'", sample.id));
    StatisticsRequest request;
    for (const Cell& cell : cells) request = request | strategy_of(cell).needs();
    request.prefill.column_sums = true;
    const EncodedPrompt encoded = encode_prompt(*model_, reader_, prompt, sample.images, request,
                                                seed_of(settings_.seed, sample));
    SampleDetail detail = look_at_prompt(reader_, sample, prompt, encoded.statistics);
    for (const Cell& cell : cells) {
      auto& kept = detail.kept.emplace_back();
      if (cell.is_full()) continue;
      try {
        kept = kept_positions(
            Sequence(model_->language(), encoded, strategy_of(cell), make_budget(cell.budget))
                .cache());
      } catch (const Error&) {
        kept.clear();  // the cell failed when it was evaluated, too: its record says why
      }
    }
    return detail;
  }

  SampleOutcome evaluate_together(const Sample& sample, std::span<const Cell> cells) {
    const TokenizedPrompt prompt = prompt_of(reader_, sample);
    const std::vector<int64_t> answer = answer_of(reader_, sample, settings_);
    reader_.require_room(prompt, room_needed(settings_, answer.size()),
                         fmt::format("the prompt of sample '{}'", sample.id));

    StatisticsRequest request;
    for (const Cell& cell : cells) request = request | strategy_of(cell).needs();
    const EncodedPrompt encoded = encode_prompt(*model_, reader_, prompt, sample.images, request,
                                                seed_of(settings_.seed, sample));

    SampleOutcome outcome;
    outcome.prompt_tokens = encoded.statistics.prompt_tokens;
    outcome.image_tokens = static_cast<int64_t>(prompt.placeholders.size());
    outcome.seconds.image = encoded.seconds.image;
    outcome.seconds.prefill = encoded.seconds.prefill;
    outcome.seconds.statistics = encoded.seconds.statistics;
    outcome.cells.resize(cells.size());

    std::vector<size_t> running;  // cells whose compression went well
    std::vector<Sequence> compressed;
    for (size_t i = 0; i < cells.size(); ++i) {
      CellOutcome& cell = outcome.cells[i];
      try {
        compressed.emplace_back(model_->language(), encoded, strategy_of(cells[i]),
                                make_budget(cells[i].budget));
      } catch (const Error& error) {
        cell.error = error.what();
        continue;
      }
      const Sequence& sequence = compressed.back();
      cell.requested_tokens = sequence.requested_slots();
      const KVCache& cache = sequence.cache();
      for (int64_t layer = 0; layer < cache.shape().layers; ++layer) {
        cell.kept_tokens.push_back(cache.head_lengths(layer));
      }
      cell.entry_bytes = cache.entry_bytes();
      cell.cache_bytes_prefill = sequence.cache().bytes();
      cell.cache_bytes_end = cell.cache_bytes_prefill;
      cell.seconds.compression = sequence.compression_seconds();
      running.push_back(i);
    }
    if (settings_.perplexity && !running.empty()) {
      // Without the full cache (it failed, or does not fit) there is nothing to diverge from.
      const bool reference_runs = running.front() == 0 && cells.front().is_full();
      score(encoded, answer, running, reference_runs, compressed, outcome);
    }
    if (settings_.generate && !running.empty()) generate(encoded, running, compressed, outcome);
    return outcome;
  }

  /// Composed on first use: a preset is a file, and cells of all budgets and samples share it.
  const Strategy& strategy_of(const Cell& cell) const {
    std::unique_ptr<Strategy>& strategy = strategies_[cell.strategy.label];
    if (strategy == nullptr) strategy = make_strategy(cell.strategy);
    return *strategy;
  }

  static std::vector<Sequence> restart_all(const std::vector<Sequence>& compressed,
                                           int64_t new_tokens) {
    std::vector<Sequence> sequences;
    for (const Sequence& sequence : compressed) {
      sequences.push_back(sequence.restart());
      sequences.back().reserve(new_tokens);
    }
    return sequences;
  }

  static std::vector<Sequence*> pointers(std::vector<Sequence>& sequences) {
    std::vector<Sequence*> all;
    all.reserve(sequences.size());
    for (Sequence& sequence : sequences) all.push_back(&sequence);
    return all;
  }

  void score(const EncodedPrompt& encoded, const std::vector<int64_t>& answer,
             const std::vector<size_t>& running, bool reference_runs,
             const std::vector<Sequence>& compressed, SampleOutcome& outcome) const {
    Stopwatch watch;
    std::vector<Sequence> sequences = restart_all(compressed, static_cast<int64_t>(answer.size()));
    ForcedOptions options;
    options.score_last_token = settings_.score_last_token;
    options.one_pass = settings_.one_pass;
    options.should_stop = should_stop_;
    const std::vector<ForcedScores> scores =
        teacher_force(model_->language(), encoded, pointers(sequences), answer, options);
    if (scores.empty()) throw Interrupted();
    for (size_t r = 0; r < running.size(); ++r) {
      CellOutcome& cell = outcome.cells[running[r]];
      cell.nll.assign(scores[r].nll.begin(), scores[r].nll.end());
      for (const double nll : scores[r].nll) cell.nll_sum += nll;
      cell.scored_tokens = static_cast<int64_t>(scores[r].nll.size());
      cell.cache_bytes_end = sequences[r].cache().bytes();
      cell.error = scores[r].failure;
      if (settings_.agreement && reference_runs && running[r] != 0)
        cell.mean_kl = scores[r].mean_kl;
    }
    outcome.seconds.scoring = watch.lap();
  }

  void generate(const EncodedPrompt& encoded, const std::vector<size_t>& running,
                const std::vector<Sequence>& compressed, SampleOutcome& outcome) const {
    Stopwatch watch;
    std::vector<Sequence> sequences = restart_all(compressed, settings_.max_new_tokens);
    GreedyOptions options;
    options.max_new_tokens = settings_.max_new_tokens;
    options.end_tokens = reader_.end_tokens();
    options.should_stop = should_stop_;
    const std::vector<GreedyText> texts =
        generate_greedy(model_->language(), encoded, pointers(sequences), options);
    if (should_stop_ && should_stop_()) throw Interrupted();
    for (size_t r = 0; r < running.size(); ++r) {
      CellOutcome& cell = outcome.cells[running[r]];
      cell.token_ids = texts[r].token_ids;
      cell.text = reader_.tokenizer().decode(cell.token_ids, /*skip_special=*/true);
      cell.finished = texts[r].finished;
      if (cell.error.empty()) cell.error = texts[r].failure;
      cell.cache_bytes_end = sequences[r].cache().bytes();
    }
    outcome.seconds.generation = watch.lap();
  }

  EvaluationSettings settings_;
  std::function<bool()> should_stop_;
  c10::Device device_;
  PromptReader reader_;
  std::unique_ptr<Model> model_;
  mutable std::map<std::string, std::unique_ptr<Strategy>>
      strategies_;  // by label, unique in a sweep
};

/// What a strategy of the sweep reads.
struct Reader {
  const StrategyChoice* strategy;
  StatisticsRequest request;
};

/// The strategies among the cells, each once.
std::vector<Reader> readers_of(std::span<const Cell> cells) {
  std::vector<Reader> readers;
  for (const Cell& cell : cells) {
    // Cells of one strategy follow each other.
    if (!readers.empty() && readers.back().strategy->label == cell.strategy.label) continue;
    readers.push_back({&cell.strategy, make_strategy(cell.strategy)->needs()});
  }
  return readers;
}

/// Error when a strategy reads what a prompt has not.
void require_statistics(const std::vector<Reader>& readers, const TokenizedPrompt& prompt,
                        const std::string& what) {
  const TokenSpan image = prompt.image_span();
  for (const Reader& reader : readers) {
    const std::string missing = missing_for(reader.request, static_cast<int64_t>(prompt.ids.size()),
                                            image.begin, image.end);
    if (missing.empty()) continue;
    fail("{}: strategy '{}' cannot run: {} {}", reader.strategy->origin, reader.strategy->label,
         what, missing);
  }
}

/// Patches that the vision tower computes of a sample's pictures. Reads their headers.
int64_t patches_of(const PromptReader& reader, const Sample& sample) {
  int64_t patches = 0;
  for (const PictureFile& picture : sample.images) {
    patches +=
        reader.image_prompt()->patches(reader.image_processor()->geometry(check_picture(picture)));
  }
  return patches;
}

/// Why all that a sweep holds at the same time does not fit into what the device has left; empty:
/// it does. Where an allocation too much only fails (on a GPU, or on a CPU with a limit), the cells
/// need not fit together: those that do not are evaluated in smaller groups.
std::string lack_of_memory(const CellGroup& group, EvaluationSettings settings,
                           std::span<const SampleSize> sizes) {
  const c10::Device device = parse_device(group.model.device);
  if (!device.is_cpu() || MemoryLimit::in_force()) settings.cells_together = false;
  const c10::ScalarType dtype = parse_dtype(group.model.dtype);
  const int64_t available = available_bytes(device);
  ModelSize model{summarize_model(group.model.path).decoder, count_parameters(group.model.path)};
  model.linear_memory =
      choose_linear_memory(model.decoder, dtype, device, model.parameters, available);
  const GroupEstimate need = estimate(group, settings, model, sizes, /*rates=*/nullptr);
  const std::string problem = refusal(need.memory, available);
  if (problem.empty()) return "";
  return fmt::format("{}: {} in {} on {} with {} cells and prompts of up to {} tokens {}",
                     group.model.origin, group.model.path.string(), group.model.dtype,
                     group.model.device, group.cells.size(), need.longest_prompt, problem);
}

class TorchEngines final : public Engines {
 public:
  void check(const ModelChoice& model, std::span<const Cell> cells,
             const EvaluationSettings& settings) const override {
    require_available(parse_device(model.device));
    parse_dtype(model.dtype);
    for (const Cell& cell : cells) {
      make_strategy(cell.strategy);
      make_budget(cell.budget);
    }
    require_loadable(model.path);
    const PromptReader reader = make_reader(model);
    if (settings.score_end) reader.answer_end();  // there has to be one
  }

  SampleCheck check_samples(const ModelChoice& model, std::span<const Cell> cells,
                            std::span<const Sample> samples,
                            const EvaluationSettings& settings) const override {
    const PromptReader reader = make_reader(model);
    const std::vector<Reader> readers = readers_of(cells);
    CellGroup group;
    group.model = model;
    group.cells.assign(cells.begin(), cells.end());
    SampleCheck check;
    for (const Sample& sample : samples) {
      check.problems.emplace_back();
      if (!sample.problem.empty()) continue;
      try {
        const TokenizedPrompt prompt = prompt_of(reader, sample);
        const std::string what =
            fmt::format("{}: the prompt of sample '{}'", sample.source.string(), sample.id);
        const size_t answer_tokens = answer_of(reader, sample, settings).size();
        reader.require_room(prompt, room_needed(settings, answer_tokens), what);
        require_statistics(readers, prompt, what);
        check.sizes.push_back({std::ssize(prompt.ids), static_cast<int64_t>(answer_tokens),
                               patches_of(reader, sample)});
      } catch (const Error& error) {
        check.problems.back() = error.what();
      }
    }
    if (!check.sizes.empty()) check.memory = lack_of_memory(group, settings, check.sizes);
    return check;
  }

  std::unique_ptr<Tokenizer> tokenizer(const ModelChoice& model) const override {
    return load_tokenizer(model.path);
  }

  void check_picture(const std::filesystem::path& file) const override {
    ::elastikv::check_picture(file);
  }

  EngineIdentity identity(const ModelChoice& model) const override {
    EngineIdentity identity;
    std::string& hash = weights_hashes_[model.path.string()];
    if (hash.empty()) hash = open_weights(model.path).content_hash();
    identity.weights = hash;
    identity.tokenizer = tokenizer_hash(model.path);
    const PromptReader reader = make_reader(model);
    if (reader.image_processor() != nullptr)
      identity.image_processing = reader.image_processor()->identity();
    identity.prompt_format =
        reader.writer().write({{"user", "{question}", reader.image_processor() ? 1 : 0}}).text;
    identity.prompt_signature = reader.writer().signature();
    return identity;
  }

  std::string strategy_text(const StrategyChoice& strategy) const override {
    return make_strategy(strategy)->description();
  }

  std::vector<std::string> parts(const ModelChoice& model,
                                 std::span<const Cell> cells) const override {
    const PromptReader reader = make_reader(model);
    std::vector<std::string> parts{"model/" + reader.summary().architecture,
                                   "prompt/" + reader.writer().name()};
    if (reader.image_processor() != nullptr) {
      const std::string identity = reader.image_processor()->identity();
      parts.push_back("image/" + identity.substr(0, identity.find_first_of(" (:,")));
    }
    for (const Cell& cell : cells) {
      const std::vector<std::string> components = make_strategy(cell.strategy)->parts();
      parts.insert(parts.end(), components.begin(), components.end());
    }
    return parts;
  }

  std::unique_ptr<SampleEvaluator> open(const ModelChoice& model,
                                        const EvaluationSettings& settings,
                                        std::function<bool()> should_stop) const override {
    return std::make_unique<TorchEvaluator>(model, settings, std::move(should_stop));
  }

 private:
  mutable std::map<std::string, std::string> weights_hashes_;  // by folder
};

}  // namespace

std::unique_ptr<Engines> torch_engines() { return std::make_unique<TorchEngines>(); }

}  // namespace elastikv
