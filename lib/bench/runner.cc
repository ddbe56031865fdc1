#include "bench/runner.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <utility>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/argmax.h>
#include <fmt/format.h>

#include "base/device.h"
#include "base/device_stopwatch.h"
#include "base/error.h"
#include "base/stopwatch.h"
#include "bench/plan.h"
#include "models/decode_graphs.h"
#include "models/llama/text_model.h"
#include "models/registry.h"
#include "runtime/loading.h"
#include "runtime/prompt_encoder.h"
#include "runtime/sequence.h"
#include "sweep/choices.h"

namespace elastikv {
namespace {

/// Decode steps of a warm-up: enough for caches, allocators and clocks to settle.
constexpr int64_t kWarmupTokens = 9;

std::unique_ptr<Model> make_model(const BenchModel& choice, const LlamaConfig& shape,
                                  uint64_t seed) {
  const c10::Device device = parse_device(choice.device);
  const c10::ScalarType dtype = parse_dtype(choice.dtype);
  if (!choice.random_weights()) return open_model(choice.path, device, dtype);
  return std::make_unique<TextModel>(shape, WeightReader::random(device, dtype, seed));
}

/// Makes the threads of LibTorch as many as asked for while it lives.
class Threads {
 public:
  explicit Threads(int64_t wanted) {
    if (wanted > 0) at::set_num_threads(static_cast<int>(wanted));
  }
  ~Threads() { at::set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_ = at::get_num_threads();
};

std::vector<int64_t> random_prompt(int64_t tokens, int64_t vocabulary, uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::vector<int64_t> ids(static_cast<size_t>(tokens));
  for (int64_t& id : ids)
    id = static_cast<int64_t>(generator() % static_cast<uint64_t>(vocabulary));
  return ids;
}

int64_t mean_slots(const std::vector<Sequence>& sequences) {
  int64_t slots = 0;
  int64_t count = 0;
  for (const Sequence& sequence : sequences) {
    for (const int64_t kept : sequence.cache().slots_per_layer()) {
      slots += kept;
      ++count;
    }
  }
  return (slots + count / 2) / count;
}

int64_t cache_bytes(const std::vector<Sequence>& sequences) {
  int64_t bytes = 0;
  for (const Sequence& sequence : sequences) bytes += sequence.cache().bytes();
  return bytes;
}

/// Times one model's cells.
class ModelBench {
 public:
  ModelBench(const BenchConfig& config, const Model& model, const LlamaConfig& shape,
             c10::Device device)
      : config_(config),
        model_(model),
        shape_(shape),
        device_(device),
        graphs_(config.graphs ? DecodeGraphs::on(device) : nullptr) {}

  DecodeGraphs::Counts graphs() const {
    return graphs_ == nullptr ? DecodeGraphs::Counts() : graphs_->counts();
  }

  /// Runs a cell once and adds the run to its result; a warm-up (`round` below 0) is run without
  /// taking notes of times. Error where what it computes is not finite: its times would be of other
  /// work than a sound model's.
  void run(BenchResult& result, const Strategy& strategy, int64_t round) const {
    const BenchCell& cell = result.cell;
    const bool warmup = round < 0;
    const bool measured = round == memory_round();
    const int64_t new_tokens = warmup && !measured
                                   ? std::min(cell.lengths.new_tokens, kWarmupTokens)
                                   : cell.lengths.new_tokens;
    BenchRun run;
    std::optional<PeakMemory> memory;
    if (measured) memory.emplace(device_);
    std::deque<EncodedPrompt> prompts;  // sequences refer to them
    std::vector<Sequence> sequences;
    sequences.reserve(static_cast<size_t>(cell.batch));
    std::vector<int64_t> tokens;
    int64_t changed_bytes = 0;  // by the compression of rows that share a prompt
    for (int64_t row = 0; row < cell.batch; ++row) {
      DeviceStopwatch watch(device_);
      if (row == 0 || !cell.shared_prompt) {
        const std::vector<int64_t> ids = prompt_of_row(cell, row);
        prompts.push_back(encode_ids(model_, ids, strategy.needs(), config_.seed));
        tokens.push_back(prompts.back().logits.argmax().item<int64_t>());
        const double statistics = prompts.back().seconds.statistics.value();
        run.statistics_seconds += statistics;
        run.prefill_seconds += watch.lap().value() - statistics;
      } else {
        tokens.push_back(tokens.back());
      }
      EncodedPrompt& prompt = prompts.back();
      sequences.emplace_back(model_.language(), prompt, strategy, make_budget(cell.budget));
      run.compression_seconds += watch.lap().value();
      if (cell.shared_prompt) {
        changed_bytes += sequences.back().cache().own_bytes();
      } else {
        // The uncompressed prompt goes before the next one comes.
        prompt.cache = KVCache(model_.language().cache_shape());
      }
      sequences.back().reserve(new_tokens - 1);
      run.reserve_seconds += watch.lap().value();
    }
    result.kept_slots = mean_slots(sequences);
    result.cache_bytes_prompt = cache_bytes(sequences);
    const int64_t shared_bytes = cell.shared_prompt ? prompts.back().cache.bytes() : 0;

    const std::vector<Sequence*> batch = pointers_to(sequences);
    const CacheShape cache = model_.language().cache_shape();
    const int64_t added = cell.batch * shape_.cache_bytes_per_token(
                                           static_cast<int64_t>(c10::elementSize(cache.dtype)));
    double bytes_attended = 0;
    double bytes_read = 0;
    run.step_seconds.reserve(static_cast<size_t>(new_tokens));
    for (int64_t step = 1; step < new_tokens; ++step) {
      const int64_t attended = cache_bytes(sequences) + added;
      bytes_attended += static_cast<double>(attended);
      // Of a prompt that rows share each entry is read once, beside what they merged and added.
      bytes_read += static_cast<double>(
          cell.shared_prompt ? std::min(attended, shared_bytes + changed_bytes + step * added)
                             : attended);
      Stopwatch watch;
      tokens = greedy_step(model_.language(), batch, tokens, graphs_.get());
      run.step_seconds.push_back(watch.lap());
    }
    for (const Sequence& sequence : sequences) {
      if (!sequence.failure().empty()) throw Error(sequence.failure());
    }
    if (memory) {
      result.memory_peak = memory->peak();
      result.memory_before = memory->before();
    }
    if (warmup) return;
    if (!run.step_seconds.empty()) {
      const auto steps = static_cast<double>(run.step_seconds.size());
      result.step_cache_bytes = bytes_attended / steps;
      result.step_read_bytes = bytes_read / steps;
    }
    result.kept_slots_end = mean_slots(sequences);
    result.cache_bytes_end = cache_bytes(sequences);
    result.cache_bytes_allocated = cell.shared_prompt ? prompts.back().cache.allocated_bytes() : 0;
    for (const Sequence& sequence : sequences)
      result.cache_bytes_allocated += sequence.cache().allocated_bytes();
    result.runs.push_back(std::move(run));
  }

 private:
  /// Free pages of the heap go back to the system before memory is measured, and the run has to
  /// fetch them again. So it is the first of at least three, whose median that does not move, or
  /// else the warm-up, which is then as long as a run.
  int64_t memory_round() const { return config_.runs >= 3 || config_.warmup == 0 ? 0 : -1; }

  std::vector<int64_t> prompt_of_row(const BenchCell& cell, int64_t row) const {
    return random_prompt(cell.lengths.prompt_tokens, shape_.vocab_size,
                         config_.seed * 1000003 + static_cast<uint64_t>(row));
  }

  const BenchConfig& config_;
  const Model& model_;
  const LlamaConfig& shape_;
  c10::Device device_;
  std::unique_ptr<DecodeGraphs> graphs_;
};

}  // namespace

BenchOutcome run_bench(const BenchConfig& config, const BenchOptions& options) {
  const Threads threads(config.threads);
  BenchOutcome outcome;
  outcome.config = config;
  outcome.threads = at::get_num_threads();
  outcome.provenance = options.provenance;
  const std::vector<BenchCell> cells = cells_of(config);
  for (const BenchModel& choice : config.models)
    outcome.models.push_back(plan_model(config, choice, cells, options.plan_only));
  if (options.plan_only) return outcome;

  const auto say = [&](const std::string& line) {
    if (options.on_progress) options.on_progress(line);
  };
  const auto stopped = [&] {
    outcome.interrupted = outcome.interrupted || (options.should_stop && options.should_stop());
    return outcome.interrupted;
  };
  for (BenchModelResult& result : outcome.models) {
    const c10::Device device = parse_device(result.model.device);
    std::vector<BenchResult*> fitting;
    for (BenchResult& cell : result.cells) {
      if (!cell.skipped.empty()) continue;
      fitting.push_back(&cell);
    }
    if (fitting.empty() || stopped()) continue;
    const auto working_set = static_cast<int64_t>(fitting[0]->step_weight_bytes);
    const c10::ScalarType dtype = parse_dtype(result.model.dtype);
    const auto measure = [&] {
      result.bandwidth.take_better(measure_bandwidth(device, working_set));
      result.operations_per_second =
          std::max(result.operations_per_second, measure_arithmetic(device, dtype, kManyRows));
    };
    measure();
    Stopwatch watch;
    const std::unique_ptr<Model> model = make_model(result.model, result.model.shape, config.seed);
    say(fmt::format("{} in {} on {}: {} of weights after {:.1f} s", result.model.label,
                    result.model.dtype, result.model.device, bytes_text(result.weights.weights),
                    watch.lap()));
    const ModelBench bench(config, *model, result.model.shape, device);
    for (int64_t round = -config.warmup; round < config.runs; ++round) {
      // Each round begins with another cell: none always follows the same one, nor comes first.
      for (size_t i = 0; i < fitting.size() && !stopped(); ++i) {
        const size_t turn = (i + static_cast<size_t>(round + config.warmup)) % fitting.size();
        try {
          bench.run(*fitting[turn], strategy_of(fitting[turn]->cell.strategy), round);
        } catch (const Error& error) {
          const BenchCell& cell = fitting[turn]->cell;
          fail("{}: {} in {} on {}: batch {} of {} tokens under '{}' at budget {}: {}",
               result.model.origin, result.model.label, result.model.dtype, result.model.device,
               cell.batch, cell.lengths.text(), cell.strategy.label, cell.budget.text(),
               error.what());
        }
      }
      if (stopped()) break;
      say(round < 0 ? fmt::format("warm-up of {} cells: {:.1f} s", fitting.size(), watch.lap())
                    : fmt::format("run {} of {}: {:.1f} s", round + 1, config.runs, watch.lap()));
    }
    result.graphs = bench.graphs();
    // Once more, since a bound must not come from a moment when the machine was busy.
    measure();
    for (BenchResult* cell : fitting) {
      if (cell->cell.lengths.new_tokens < 2) continue;
      cell->step_operations =
          step_operations(result.model.shape, cell->cell.batch, cell->step_cache_bytes,
                          static_cast<int64_t>(c10::elementSize(dtype)));
      cell->bound_seconds = step_bound_seconds(cell->step_weight_bytes + cell->step_read_bytes,
                                               result.bandwidth.bound(), cell->step_operations,
                                               result.operations_per_second);
    }
  }
  return outcome;
}

}  // namespace elastikv
