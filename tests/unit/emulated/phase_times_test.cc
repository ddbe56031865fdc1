// What the phases of a run take on a device that works behind the host: each has its own work and
// no other's, and nothing waits for the times.
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/device_stopwatch.h"
#include "base/stopwatch.h"
#include "runtime/generation.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/paths.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"
#include "support/tiny_models.h"
#include "sweep/torch_evaluator.h"
#include "unit/emulated/support.h"

namespace elastikv {
namespace {

using namespace std::chrono_literals;

class EmulatedPhases : public OnEmulatedDevice {
 protected:
  /// The full cache, with work for the device that is queued while the prompt is compressed.
  class Busy final : public Strategy {
   public:
    StatisticsRequest needs() const override { return full_->needs(); }
    PositionMode positions() const override { return full_->positions(); }
    std::vector<LayerPlan> compress(const PromptStatistics& prompt,
                                    const Budget& budget) const override {
      return full_->compress(prompt, budget);
    }
    std::vector<at::Tensor> importance(const PromptStatistics& prompt) const override {
      return full_->importance(prompt);
    }
    std::unique_ptr<GenerationPolicy> begin_generation(const PromptStatistics& /*prompt*/,
                                                       const std::vector<LayerPlan>& /*plans*/,
                                                       const Budget& /*budget*/) const override {
      keep_busy(10ms);
      return nullptr;
    }
    std::string description() const override { return full_->description(); }
    std::vector<std::string> parts() const override { return full_->parts(); }

   private:
    std::unique_ptr<Strategy> full_ = make_strategy("full");
  };
};

TEST_F(EmulatedPhases, APrefillIsNotBookedToItsStatistics) {
  const TinyModel tiny("tiny_llama_a", kEmulated);
  const LanguageModel& language = tiny.language();
  KVCache cache(language.cache_shape());
  int64_t layers = 0;
  PrefillInput input;
  input.embeddings = tiny.embeddings();
  input.request.column_sums = true;
  input.request.query_moments = {0};
  // Fetching a layer's statistics waits for this, too.
  input.on_layer = [&](int64_t, int64_t) {
    keep_busy(20ms);
    ++layers;
  };
  DeviceStopwatch watch(kEmulated);
  const PrefillOutput output = language.prefill(input, cache);
  DeviceSeconds prefill = watch.lap();
  prefill -= output.statistics_seconds;
  EXPECT_GE(prefill.value(), 0.02 * static_cast<double>(layers));
  EXPECT_GT(output.statistics_seconds.value(), 0);

  input.request = PrefillRequest();
  KVCache other(language.cache_shape());
  EXPECT_EQ(language.prefill(input, other).statistics_seconds.value(), 0);
}

TEST_F(EmulatedPhases, ACompressionHasItsOwnWorkAndNoOther) {
  const TinyModel tiny("tiny_llama_a", kEmulated);
  const EncodedPrompt prompt = tiny.encode();
  const Busy strategy;
  wait();
  const int64_t before = waits();
  DeviceStopwatch watch(kEmulated);
  keep_busy(50ms);  // the phase before
  const DeviceSeconds busy = watch.lap();
  const Sequence first(tiny.language(), prompt, strategy, Budget::unlimited());
  const Sequence second(tiny.language(), prompt, strategy, Budget::unlimited());
  DeviceSeconds rest = watch.lap();
  EXPECT_EQ(waits(), before);
  wait();
  EXPECT_GE(busy.value(), 0.05);
  EXPECT_GE(first.compression_seconds().value(), 0.01);
  EXPECT_GE(second.compression_seconds().value(), 0.01);
  // One after the other, both after the work before them.
  rest -= first.compression_seconds();
  rest -= second.compression_seconds();
  EXPECT_GE(rest.value(), -1e-9);
}

TEST_F(EmulatedPhases, TimesOfADoneRunAreReadWithoutAnotherWait) {
  const TinyModel tiny("tiny_llama_a", kEmulated);
  const std::unique_ptr<Strategy> strategy = make_strategy("h2o");
  const EncodedPrompt prompt =
      encode_ids(*tiny.model, to_ids(tiny.ids()), strategy->needs(), /*seed=*/0);
  Sequence sequence(tiny.language(), prompt, *strategy, Budget::fraction(0.5));
  DeviceStopwatch watch(kEmulated);
  GreedyOptions options;
  options.max_new_tokens = 4;
  generate_greedy(tiny.language(), {&sequence}, options);
  const DeviceSeconds generation = watch.lap();
  const int64_t before = waits();
  EXPECT_GT(prompt.seconds.prefill.value(), 0);
  EXPECT_GT(prompt.seconds.statistics.value(), 0);
  EXPECT_GT(sequence.compression_seconds().value(), 0);
  EXPECT_GT(generation.value(), 0);
  EXPECT_EQ(waits(), before);
}

TEST_F(EmulatedPhases, ASamplesPhasesHaveTheWorkThatWasQueuedInThem) {
  const TemporaryFolder folder;
  write_tiny_checkpoint(folder, "model");
  ModelChoice model;
  model.path = folder.path() / "model";
  model.device = "emulated";
  EvaluationSettings settings;
  settings.max_new_tokens = 4;
  std::map<std::string, int64_t> calls;
  RunWatch watch;
  watch.on_phase = [&](const PhaseProgress& progress) {
    keep_busy(10ms);
    ++calls[std::string(progress.phase)];
  };
  Sample sample;
  sample.id = "a";
  sample.images = {ImageFile(source_path("datasets/stamp-scenes/test/images/test_0000.png"))};
  sample.question = "What is it?";
  sample.answer = "A red circle.";
  std::vector<Cell> cells(2);
  cells[0].strategy.preset = "full";
  cells[1].strategy.preset = "h2o";
  cells[1].budget.keep = 0.5;

  const std::unique_ptr<SampleEvaluator> evaluator = open_torch_evaluator(model, settings, watch);
  Stopwatch whole;
  const std::unique_ptr<SampleRun> run = evaluator->begin(sample, cells);
  const SampleOutcome outcome = run->evaluate(std::vector<size_t>{0, 1});
  const double seconds = whole.lap();
  ASSERT_EQ(outcome.cells.size(), 2U);
  const auto busy = [&](const char* phase) { return 0.01 * static_cast<double>(calls[phase]); };
  EXPECT_GT(outcome.seconds.image, 0);
  EXPECT_GT(busy("prefill"), 0);
  EXPECT_GE(outcome.seconds.prefill, busy("prefill"));
  EXPECT_GT(outcome.seconds.statistics, 0);
  EXPECT_GT(busy("scoring"), 0);
  EXPECT_GE(outcome.seconds.scoring, busy("scoring"));
  EXPECT_GE(outcome.seconds.generation, busy("generation"));
  double sum = outcome.seconds.image + outcome.seconds.prefill + outcome.seconds.statistics +
               outcome.seconds.scoring + outcome.seconds.generation;
  for (const CellOutcome& cell : outcome.cells) {
    EXPECT_EQ(cell.error, "");
    EXPECT_GT(cell.seconds.compression, 0);
    sum += cell.seconds.compression;
  }
  // Nothing counts twice.
  EXPECT_LE(sum, seconds);
}

}  // namespace
}  // namespace elastikv
