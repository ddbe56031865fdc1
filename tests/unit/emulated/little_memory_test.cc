// Sweeps on a device whose memory does not suffice for everything.
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/evaluation.h"
#include "support/emulated_device/memory.h"
#include "support/paths.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"
#include "sweep/cell_batches.h"
#include "sweep/torch_evaluator.h"
#include "unit/emulated/support.h"

namespace elastikv {
namespace {

constexpr int64_t kAnswerTokens = 100;

/// Leaves so many bytes beside what a sample's prompt takes.
class LeavingLittle final : public SampleEvaluator {
 public:
  LeavingLittle(SampleEvaluator& evaluator, int64_t bytes) : evaluator_(evaluator), bytes_(bytes) {}
  std::unique_ptr<SampleRun> begin(const Sample& sample, std::span<const Cell> cells) override {
    limit_.reset();
    std::unique_ptr<SampleRun> run = evaluator_.begin(sample, cells);
    limit_.emplace(emulated::Memory::instance().usage().in_use + bytes_);
    return run;
  }
  std::optional<SampleDetail> look(const Sample& sample, std::span<const Cell> cells) override {
    return evaluator_.look(sample, cells);
  }
  void release_memory() override { evaluator_.release_memory(); }

 private:
  SampleEvaluator& evaluator_;
  int64_t bytes_;
  std::optional<emulated::MemoryLimit> limit_;
};

class EmulatedLittleMemory : public OnEmulatedDevice {
 protected:
  EmulatedLittleMemory() : cells_(4) {
    write_tiny_checkpoint(folder_, "model");
    ModelChoice model;
    model.path = folder_.path() / "model";
    model.device = "emulated";
    EvaluationSettings settings;
    settings.generate = false;
    settings.one_pass = false;  // a token at a time takes little beside the entries
    evaluator_ = open_torch_evaluator(model, settings, RunWatch());
    sample_.id = "a";
    sample_.images = {ImageFile(source_path("datasets/stamp-scenes/test/images/test_0000.png"))};
    sample_.question = "What is it?";
    sample_.answer = std::string(kAnswerTokens, 'a');  // a token for each byte
    cells_[0].strategy.preset = "full";
    for (size_t i = 1; i < cells_.size(); ++i) {
      cells_[i].strategy.preset = i == 2 ? "elastic" : "h2o";
      cells_[i].budget.keep = 0.1 * static_cast<double>(i);
      cells_[i].budget.growth = Growth::kPrompt;
    }
  }

  SampleOutcome outcome_with(int64_t bytes) {
    LeavingLittle limited(*evaluator_, bytes);
    return CellBatches(limited, cells_, /*needs_full=*/false).evaluate(sample_);
  }

  TemporaryFolder folder_;
  std::unique_ptr<SampleEvaluator> evaluator_;
  Sample sample_;
  std::vector<Cell> cells_;
};

TEST_F(EmulatedLittleMemory, OnlyTheCellThatDoesNotFitFails) {
  constexpr int64_t kPlenty = int64_t{1} << 30;
  const SampleOutcome plenty = outcome_with(kPlenty);
  for (const CellOutcome& cell : plenty.cells) {
    ASSERT_EQ(cell.error, "");
    ASSERT_GE(cell.scored_tokens, kAnswerTokens - 1);
  }
  // The full cache keeps all its entries, and its logits, with which the others are compared.
  const int64_t per_token = plenty.cells[0].cache_bytes_prefill / plenty.prompt_tokens;
  const SampleOutcome little = outcome_with(9 * per_token * kAnswerTokens);
  EXPECT_EQ(little.cells[0].failure, Failure::kOutOfMemory);
  EXPECT_NE(little.cells[0].error, "");
  for (size_t i = 1; i < cells_.size(); ++i) {
    EXPECT_EQ(little.cells[i].error, "") << "cell " << i;
    EXPECT_NEAR(little.cells[i].nll_sum, plenty.cells[i].nll_sum, 1e-2) << "cell " << i;
  }
}

}  // namespace
}  // namespace elastikv
