#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/device_stopwatch.h"
#include "datasets/sample.h"
#include "runtime/conversation_tokens.h"
#include "runtime/evaluation.h"
#include "runtime/sequence.h"
#include "sweep/conversation_run.h"
#include "sweep/engine.h"
#include "sweep/prefills.h"
#include "sweep/torch_model.h"
#include "text/prompt_tokens.h"

namespace elastikv {

/// Runs the cells of a sample, or of several that ask about one context: one image encoding, a
/// prefill for each moment of compression, then as many cells as one batch as fit into memory. What
/// an outcome holds does not depend on how many samples run together, but for its seconds: those of
/// all are divided evenly among them.
class TorchRun final : public SampleRun {
 public:
  /// Throws as SampleEvaluator::begin. `shared`: see TorchModel::encode. Model, samples and cells
  /// must outlive it.
  TorchRun(const TorchModel& model, std::span<const Sample* const> samples,
           std::span<const Cell> cells, SharedContext* shared);

  /// Of the only sample.
  SampleOutcome evaluate(std::span<const size_t> cells) override;
  /// All cells of all samples. Throws OutOfMemory where they do not fit together.
  std::vector<SampleOutcome> evaluate_all();

  /// The prompt of the first sample once its run is over; none where every cell has its own.
  std::optional<Prefills> take_prompt();

 private:
  /// A sample as the model reads it.
  struct Question {
    const Sample* sample = nullptr;
    EvaluationSettings settings;
    TokenizedPrompt prompt;
    /// Of a turn of a conversation behind others: what is said before it, and the first turn, with
    /// whose prompt it begins.
    std::optional<ConversationTokens> conversation;
    std::optional<Sample> first;
    std::vector<int64_t> answer;
    std::vector<std::vector<int64_t>> options;  // that are scored
    std::shared_ptr<Prefills> encoded;
    ForcedReference reference;  // what the full cache made of the answer

    /// What is prefilled.
    const Sample& begins_with() const { return first ? *first : *sample; }
    const TokenizedPrompt& first_prompt() const {
      return conversation ? conversation->first : prompt;
    }
  };
  /// What a run's phases took.
  struct PhaseSeconds {
    DeviceSeconds turns;  // that come before a turn
    DeviceSeconds scoring;
    DeviceSeconds generation;
  };
  /// A cell of a question whose compression went well.
  struct Running {
    size_t question;
    size_t cell;   // index into the cells
    size_t place;  // in the question's outcome
    Sequence sequence;
    DeviceSeconds compression{};
    ConversationPlace at{};  // of a turn of a conversation
  };
  using Batch = std::vector<Running>;
  using Outcomes = std::vector<SampleOutcome>;  // by question

  Question read(const Sample& sample) const;
  void encode(std::span<const Cell> cells);
  Outcomes run(std::span<const size_t> which);
  /// Compresses the prompts for the first of the cells, as many as can run together.
  Batch compress(std::span<const size_t> which, Outcomes& outcomes) const;
  /// `earlier`: the cell as it runs for the questions before.
  Running compress(size_t cell, size_t question, std::span<const Running> earlier) const;
  /// Where the cells of a sample's conversation are kept; null: nowhere, or it is no turn of one.
  ConversationCells* kept_cells() const;
  /// Brings the cells to the question of a turn behind others; those that do not get there leave.
  void go_on(Batch& batch, Outcomes& outcomes) const;
  PhaseSeconds run_phases(Batch& batch, Outcomes& outcomes);
  void run_late(Batch& batch, std::string_view phase) const;
  /// `of_question`: what runs, by question.
  void score(const std::vector<std::vector<Running*>>& of_question, Outcomes& outcomes);
  void choose(const Question& question, const std::vector<Running*>& running,
              SampleOutcome& outcome) const;
  /// What they write is kept for the turn to come.
  void generate(const std::vector<Running*>& running, Outcomes& outcomes) const;
  void tell(const Batch& batch, const PhaseSeconds& seconds, Outcomes& outcomes);

  const TorchModel& model_;
  SharedContext* shared_;
  std::span<const Cell> cells_;
  bool cells_together_;
  std::vector<Question> questions_;
  bool encoding_told_ = false;  // whether an outcome has the times of the last encoding
};

}  // namespace elastikv
