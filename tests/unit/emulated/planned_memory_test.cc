// What a plan says of a device's memory, beside what a sweep then takes of it.
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/device.h"
#include "models/registry.h"
#include "support/emulated_device/memory.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"
#include "sweep/cell_batches.h"
#include "sweep/estimate.h"
#include "sweep/torch_evaluator.h"
#include "unit/emulated/support.h"

namespace elastikv {
namespace {

constexpr int64_t kPromptTokens = 300;
constexpr int64_t kAnswerTokens = 16;

/// Weights, caches, activations and logits of the same order at such a prompt.
nlohmann::json wide_config() {
  nlohmann::json config = tiny_config(/*images=*/false);
  config["vocab_size"] = 1000;
  config["hidden_size"] = 128;
  config["intermediate_size"] = 352;
  config["num_attention_heads"] = 4;
  config["num_key_value_heads"] = 4;
  config["head_dim"] = 32;
  config["max_position_embeddings"] = 2000;
  return config;
}

class PlannedMemory : public OnEmulatedDevice {
 protected:
  PlannedMemory() {
    write_checkpoint(folder_, "model", wide_config());
    group_.model.path = folder_.path() / "model";
    group_.model.device = "emulated";
    group_.model.dtype = "fp32";
    settings_.max_new_tokens = kAnswerTokens;
    sample_.id = "a";
    sample_.question = std::string(kPromptTokens, 'q');
    sample_.answer = std::string(kAnswerTokens, 'a');
  }

  void add(const std::string& preset, double keep) {
    Cell cell;
    cell.strategy.preset = preset;
    if (keep < 1) cell.budget.keep = keep;
    cell.budget.growth = Growth::kPrompt;
    group_.cells.push_back(cell);
  }

  /// Six presets at each of these tenths.
  void add_presets(std::initializer_list<int> tenths) {
    for (const char* preset : {"elastic", "h2o", "streaming-llm", "local-released", "h2o-released",
                               "elastic-released"}) {
      for (const int tenth : tenths) add(preset, 0.1 * tenth);
    }
  }

  /// Bytes that the device held at most in one sample's run, weights included.
  int64_t taken() {
    emulated::Memory& memory = emulated::Memory::instance();
    const int64_t before = memory.usage().in_use;
    const std::unique_ptr<SampleEvaluator> evaluator =
        open_torch_evaluator(group_.model, settings_, RunWatch());
    memory.reset_peak();
    const SampleOutcome outcome =
        CellBatches(*evaluator, group_.cells, /*needs_full=*/false).evaluate(sample_);
    for (const CellOutcome& cell : outcome.cells) EXPECT_EQ(cell.error, "");
    prompt_tokens_ = outcome.prompt_tokens;
    return memory.usage().peak - before;
  }

  MemoryNeed planned() const {
    const ModelSize size{.decoder = summarize_model(group_.model.path).decoder,
                         .parameters = count_parameters(group_.model.path),
                         .held = std::nullopt};
    const SampleSize sample{.prompt_tokens = prompt_tokens_, .answer_tokens = kAnswerTokens};
    return estimate(group_, settings_, size, {&sample, 1}).memory;
  }

  void expect_near() {
    const int64_t bytes = taken();
    const MemoryNeed need = planned();
    const double ratio = static_cast<double>(need.total()) / static_cast<double>(bytes);
    EXPECT_NEAR(ratio, 1, 0.1) << group_.cells.size() << " cells: " << bytes_text(bytes)
                               << " taken, weights " << bytes_text(need.weights) << ", caches "
                               << bytes_text(need.caches) << ", activations "
                               << bytes_text(need.activations) << " planned";
  }

  TemporaryFolder folder_;
  CellGroup group_;
  EvaluationSettings settings_;
  Sample sample_;
  int64_t prompt_tokens_ = 0;
};

TEST_F(PlannedMemory, OfTheFullCacheAlone) {
  add("full", 1);
  expect_near();
}

TEST_F(PlannedMemory, OfNineteenCells) {
  add("full", 1);
  add_presets({2, 5, 8});
  expect_near();
}

TEST_F(PlannedMemory, OfFiftyFiveCells) {
  add("full", 1);
  add_presets({1, 2, 3, 4, 5, 6, 7, 8, 9});
  expect_near();
}

}  // namespace
}  // namespace elastikv
