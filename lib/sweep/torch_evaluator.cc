#include "sweep/torch_evaluator.h"

#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "runtime/memory.h"
#include "sweep/choices.h"
#include "sweep/look.h"
#include "sweep/torch_model.h"
#include "sweep/torch_run.h"

namespace elastikv {
namespace {

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

/// The run of one sample, whose prompt stays when it is over.
class OneSampleRun final : public SampleRun {
 public:
  OneSampleRun(const TorchModel& model, const Sample& sample, std::span<const Cell> cells,
               SharedContext* shared, LastPrompt& last)
      : sample_(sample), samples_{&sample}, run_(model, samples_, cells, shared), last_(last) {}
  ~OneSampleRun() override {
    if (std::optional<Prefills> prompt = run_.take_prompt())
      last_.keep(sample_, *std::move(prompt));
  }
  OneSampleRun(const OneSampleRun&) = delete;
  OneSampleRun& operator=(const OneSampleRun&) = delete;

  SampleOutcome evaluate(std::span<const size_t> cells) override { return run_.evaluate(cells); }

 private:
  const Sample& sample_;
  std::vector<const Sample*> samples_;
  TorchRun run_;
  LastPrompt& last_;
};

class TorchEvaluator final : public SampleEvaluator {
 public:
  TorchEvaluator(const ModelChoice& choice, const EvaluationSettings& settings, RunWatch watch,
                 const EngineOptions& options)
      : model_(choice, settings, std::move(watch), options) {}

  std::unique_ptr<SampleRun> begin(const Sample& sample, std::span<const Cell> cells) override {
    last_.forget();
    return model_.on_device(
        [&] { return std::make_unique<OneSampleRun>(model_, sample, cells, shared(), last_); });
  }

  void begin_context() override { shared_.emplace(); }
  void end_context() override { shared_.reset(); }

  std::vector<SampleOutcome> evaluate_together(std::span<const Sample* const> samples,
                                               std::span<const Cell> cells) override {
    // The turns of a conversation follow each other.
    if (samples.front()->turn > 0) return {};
    last_.forget();
    return model_.on_device(
        [&] { return TorchRun(model_, samples, cells, shared()).evaluate_all(); });
  }

  std::optional<SampleDetail> look(const Sample& sample, std::span<const Cell> cells) override {
    // What a later turn keeps follows from the turns before, not from a prompt.
    if (!sample.earlier.empty()) return std::nullopt;
    return model_.on_device([&] { return look_at(sample, cells); });
  }

  void release_memory() override {
    last_.forget();
    if (shared_) {
      shared_->forget();
      shared_->forget_conversation();
    }
    model_.forget_graphs();
    model_.on_device([&] { release_free_memory(model_.device()); });
  }

 private:
  SharedContext* shared() { return shared_ ? &*shared_ : nullptr; }

  SampleDetail look_at(const Sample& sample, std::span<const Cell> cells) {
    const PromptReader& reader = model_.reader();
    const TokenizedPrompt prompt = prompt_of(reader, sample);
    reader.require_room(prompt, /*new_tokens=*/0,
                        fmt::format("the prompt of sample '{}'", sample.id));
    const Prefills encoded =
        last_.sample == &sample
            ? *std::move(last_.encoded)
            : model_.encode(sample, prompt, cells, /*column_sums=*/true, /*shared=*/nullptr);
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
  std::optional<SharedContext> shared_;  // between begin_context and end_context
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
