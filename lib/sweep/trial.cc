#include "sweep/trial.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>
#include <unistd.h>

#include "base/device.h"
#include "base/device_stopwatch.h"
#include "models/decode_graphs.h"
#include "models/llama/text_model.h"
#include "runtime/cost.h"
#include "runtime/evaluation.h"
#include "runtime/prompt_encoder.h"
#include "runtime/sequence.h"
#include "strategies/statistics.h"
#include "strategies/strategy.h"
#include "sweep/choices.h"
#include "weights/weight_reader.h"

namespace elastikv {
namespace {

/// Weights that a trial holds, but for a model of larger layers: few enough to be made in a moment.
constexpr int64_t kTrialBytes = int64_t{512} << 20;
/// They are more than the last cache holds, which would be read faster than a whole model is. Some
/// processors have hundreds of megabytes.
constexpr int64_t kMostTrialBytes = int64_t{1} << 30;
/// Tokens of an answer that are run to be timed, and steps after a first one.
constexpr int64_t kScoredTokens = 17;
constexpr int64_t kSteps = 4;
/// Steps of which the last may be a graph's.
constexpr int64_t kGraphSteps = DecodeGraphs::kStepsBefore + 1;
/// Of a part's vocabulary: a head that is not whole says little, the whole one takes long to make.
constexpr int64_t kPartVocabulary = 512;

/// As many layers as are to be run, and the whole vocabulary where these are all.
LlamaConfig part_of(const LlamaConfig& shape, int64_t element_bytes) {
  LlamaConfig one = shape;
  one.layers = 1;
  one.vocab_size = kPartVocabulary;
  LlamaConfig part = shape;
  const int64_t layer_bytes = step_weight_bytes(one, element_bytes);
  const int64_t bytes =
      std::clamp<int64_t>(2 * sysconf(_SC_LEVEL3_CACHE_SIZE), kTrialBytes, kMostTrialBytes);
  part.layers = std::clamp<int64_t>(bytes / layer_bytes, 1, shape.layers);
  if (part.layers < shape.layers) part.vocab_size = std::min(shape.vocab_size, kPartVocabulary);
  return part;
}

/// Weights of one value for all matrices. What linear layers hold in 16 bits must be exact there,
/// what they hold in 32 must not (see held_dtype).
double weight_value(const ModelSize& model) {
  constexpr double kExact = 1.0 / 1024;
  constexpr double kInexact = 0.001;
  return model.held ? kExact : kInexact;
}

/// The group's cells whose strategies need no image.
std::vector<Cell> runnable(const CellGroup& group, const EvaluationSettings& settings,
                           int64_t prompt) {
  std::vector<Cell> cells;
  for (const Cell& cell : group.cells) {
    if (missing_for(strategy_of(cell.strategy).needs(), prompt, /*image_begin=*/0, /*image_end=*/0)
            .empty())
      cells.push_back(cell);
  }
  if (settings.cells_together || cells.size() < 2) return cells;
  return {cells[1]};  // the first is the full cache, the least work of all
}

/// One run through the phases of a sample.
class TrialRun {
 public:
  TrialRun(const Model& model, c10::Device device, const EvaluationSettings& settings,
           const std::vector<Cell>& cells, int64_t prompt_tokens)
      : model_(model),
        device_(device),
        graphs_(DecodeGraphs::on(device)),
        settings_(settings),
        cells_(cells) {
    const std::vector<int64_t> ids(static_cast<size_t>(prompt_tokens), 0);
    DeviceStopwatch watch(device);
    prompt_.emplace(encode_ids(model, ids, needs_of(cells), /*seed=*/0));
    prefill_ = watch.lap().value();
    for (const Cell& cell : cells) {
      sequences_.emplace_back(model.language(), *prompt_, strategy_of(cell.strategy),
                              make_budget(cell.budget));
    }
    compression_ = watch.lap().value();
  }

  double prefill() const { return prefill_; }
  double compression() const { return compression_; }

  /// Per token of an answer.
  double scoring(int64_t answer_tokens) const {
    const int64_t tokens = std::clamp<int64_t>(answer_tokens, 2, kScoredTokens);
    std::vector<Sequence> sequences = restart_all(sequences_);
    for (Sequence& sequence : sequences) sequence.reserve(tokens);
    ForcedReference reference;
    ForcedOptions options;
    options.one_pass = settings_.one_pass;
    options.graphs = graphs_.get();
    if (cells_.front().is_full()) options.reference = &reference;
    DeviceStopwatch watch(device_);
    teacher_force(model_.language(), pointers_to(sequences),
                  std::vector<int64_t>(static_cast<size_t>(tokens), 0), options);
    return watch.lap().value() / static_cast<double>(tokens - 1);
  }

  /// Per new token. Nothing else can be run after it.
  double step() {
    const int64_t first = graphs_ == nullptr ? 1 : kGraphSteps;
    for (Sequence& sequence : sequences_) sequence.reserve(first + kSteps);
    const std::vector<Sequence*> batch = pointers_to(sequences_);
    const std::vector<int64_t> tokens(batch.size(), 0);
    std::vector<double> seconds;
    for (int64_t i = 0; i < first + kSteps; ++i) {
      DeviceStopwatch watch(device_);
      decode_step(model_.language(), batch, tokens, graphs_.get());
      if (i >= first) seconds.push_back(watch.lap().value());
    }
    std::sort(seconds.begin(), seconds.end());
    return (seconds[kSteps / 2 - 1] + seconds[kSteps / 2]) / 2;
  }

 private:
  const Model& model_;
  c10::Device device_;
  std::unique_ptr<DecodeGraphs> graphs_;
  const EvaluationSettings& settings_;
  const std::vector<Cell>& cells_;
  std::optional<EncodedPrompt> prompt_;
  std::vector<Sequence> sequences_;
  double prefill_ = 0;
  double compression_ = 0;
};

SampleSize mean_of(std::span<const SampleSize> samples) {
  SampleSize mean;
  for (const SampleSize& sample : samples) {
    mean.prompt_tokens += sample.prompt_tokens;
    mean.answer_tokens += sample.answer_tokens;
  }
  const auto count = static_cast<int64_t>(samples.size());
  mean.prompt_tokens = std::max<int64_t>(1, mean.prompt_tokens / count);
  mean.answer_tokens = std::max<int64_t>(1, mean.answer_tokens / count);
  return mean;
}

/// Slots of all cells together at `tokens_seen` tokens of a prompt of `prompt` tokens.
int64_t slots_of(std::span<const Cell> cells, int64_t tokens_seen, int64_t prompt) {
  int64_t slots = 0;
  for (const Cell& cell : cells) slots += make_budget(cell.budget).slots(tokens_seen, prompt);
  return slots;
}

int64_t element_bytes_of(const ModelSize& model, c10::ScalarType dtype) {
  return static_cast<int64_t>(c10::elementSize(model.held.value_or(dtype)));
}

double tower_operations(const ModelSize& model, const SampleSize& sample) {
  if (sample.shared_tokens > 0) return 0;
  return 2 * static_cast<double>(model.parameters - parameters_of(model.decoder)) *
         static_cast<double>(sample.patches);
}

/// Of a sample whose cells run as one batch.
double rated_seconds(const MachineRates& rates, std::span<const Cell> cells,
                     const EvaluationSettings& settings, const ModelSize& model,
                     const SampleSize& sample, c10::ScalarType dtype) {
  const LlamaConfig& d = model.decoder;
  const auto prompt = static_cast<double>(sample.prompt_tokens);
  const auto weights = static_cast<double>(step_weight_bytes(d, /*element_bytes=*/1));
  // Causal attention: half of the scores and of their products with the values.
  const double attention =
      2.0 * static_cast<double>(d.layers * d.query_heads * d.head_dim) * prompt * prompt;
  const auto prefills = static_cast<double>(moments_of(cells).size());
  const double shared = static_cast<double>(sample.shared_tokens) / prompt;
  double seconds =
      ((prefills - shared) * (2 * weights * prompt + attention) + tower_operations(model, sample)) /
      rates.operations_per_second;
  const auto phase = [&](int64_t steps, int64_t rows) {
    const int64_t half_way = sample.prompt_tokens + steps / 2;
    const auto cache =
        static_cast<double>(slots_of(cells, half_way, sample.prompt_tokens) *
                            d.cache_bytes_per_token(static_cast<int64_t>(c10::elementSize(dtype))));
    const auto held = static_cast<double>(element_bytes_of(model, dtype));
    return static_cast<double>(steps) *
           step_bound_seconds(weights * held + cache, rates.bytes_per_second,
                              2 * weights * static_cast<double>(rows), rates.operations_per_second);
  };
  const int64_t rows = std::ssize(cells);
  const int64_t late = sample.late_tokens;
  if (settings.perplexity) seconds += phase(late + sample.answer_tokens, rows);
  if (settings.generate && sample.by_likelihood()) {
    seconds += phase(late + sample.option_steps(), rows * std::ssize(sample.option_tokens));
  } else if (settings.generate) {
    seconds += phase(late + sample.new_tokens(settings), rows);
  }
  return seconds;
}

}  // namespace

double Trial::seconds(const EvaluationSettings& settings, const ModelSize& model,
                      const SampleSize& sample) const {
  // The first token of a text comes from the prompt.
  const auto steps = [](int64_t tokens) {
    return static_cast<double>(std::max<int64_t>(0, tokens - 1));
  };
  double seconds = tower_operations(model, sample) / tower_operations_per_second +
                   prompt_token_seconds *
                       (static_cast<double>(sample.prompt_tokens) -
                        static_cast<double>(sample.shared_tokens) / static_cast<double>(moments)) +
                   compression_seconds;
  const auto late = static_cast<double>(sample.late_tokens);
  if (settings.perplexity) seconds += scored_token_seconds * (late + steps(sample.answer_tokens));
  if (settings.generate && sample.by_likelihood()) {
    seconds += scored_token_seconds * (late + static_cast<double>(sample.option_steps())) *
               static_cast<double>(sample.option_tokens.size());
  } else if (settings.generate) {
    seconds += step_seconds * (late + steps(sample.new_tokens(settings)));
  }
  return seconds;
}

std::optional<Trial> run_trial(const CellGroup& group, const EvaluationSettings& settings,
                               const ModelSize& model, std::span<const SampleSize> samples,
                               int64_t available) {
  const c10::Device device = parse_device(group.model.device);
  const c10::ScalarType dtype = parse_dtype(group.model.dtype);
  if (!is_available(device) || samples.empty()) return std::nullopt;
  const int64_t element_bytes = element_bytes_of(model, dtype);
  ModelSize part = model;
  part.decoder = part_of(model.decoder, element_bytes);
  part.parameters = parameters_of(part.decoder);
  const SampleSize mean = mean_of(samples);
  CellGroup tried = group;
  tried.cells = runnable(group, settings, mean.prompt_tokens);
  if (tried.cells.empty()) return std::nullopt;
  if (estimate(tried, settings, part, {&mean, 1}).memory.total() > available) return std::nullopt;

  const TextModel decoder(part.decoder, WeightReader::uniform(device, dtype, weight_value(model)));
  TrialRun run(decoder, device, settings, tried.cells, mean.prompt_tokens);
  // A head that is not whole is made up for by as many weights of the layers.
  const double whole = static_cast<double>(step_weight_bytes(model.decoder, element_bytes)) /
                       static_cast<double>(step_weight_bytes(part.decoder, element_bytes));
  const double layers =
      static_cast<double>(model.decoder.layers) / static_cast<double>(part.decoder.layers);
  const double cells = settings.cells_together ? static_cast<double>(group.cells.size()) /
                                                     static_cast<double>(tried.cells.size())
                                               : 1;
  Trial trial;
  trial.layers = part.decoder.layers;
  // Each moment of compression has a prefill of its own.
  trial.moments = std::ssize(moments_of(group.cells));
  trial.prompt_token_seconds = run.prefill() * layers * static_cast<double>(trial.moments) /
                               static_cast<double>(mean.prompt_tokens);
  trial.compression_seconds = run.compression() * layers * cells;
  const bool scores_options = std::any_of(samples.begin(), samples.end(),
                                          [](const SampleSize& s) { return s.by_likelihood(); });
  if (settings.perplexity || scores_options)
    trial.scored_token_seconds = run.scoring(mean.answer_tokens) * whole * cells;
  if (settings.generate) trial.step_seconds = run.step() * whole * cells;
  trial.tower_operations_per_second = measure_arithmetic(device, dtype, kManyRows);
  return trial;
}

double seconds_of(const Trial& trial, const CellGroup& group, const EvaluationSettings& settings,
                  const ModelSize& model, std::span<const SampleSize> samples) {
  double seconds = 0;
  for (const SampleSize& sample : samples) seconds += trial.seconds(settings, model, sample);
  return seconds * (settings.cells_together ? 1 : static_cast<double>(group.cells.size()));
}

double seconds_of(const MachineRates& rates, const CellGroup& group,
                  const EvaluationSettings& settings, const ModelSize& model,
                  std::span<const SampleSize> samples) {
  const c10::ScalarType dtype = parse_dtype(group.model.dtype);
  const std::span<const Cell> cells(group.cells);
  double seconds = 0;
  for (const SampleSize& sample : samples) {
    for (size_t i = 0; i < cells.size(); ++i) {
      seconds += rated_seconds(rates, settings.cells_together ? cells : cells.subspan(i, 1),
                               settings, model, sample, dtype);
      if (settings.cells_together) break;
    }
  }
  return seconds;
}

}  // namespace elastikv
