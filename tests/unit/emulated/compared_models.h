#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/evaluation.h"
#include "runtime/generation.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"

namespace elastikv {

/// What log likelihoods of two devices may differ by.
constexpr double kLikelihoodLimit = 1e-4;

/// One strategy at one budget.
struct ComparedCell {
  std::string preset;
  double keep = 1;

  std::string name() const { return preset + " at " + std::to_string(keep); }
};

/// Sequences of cells over one prompt, as a sweep makes them.
class CellSequences {
 public:
  CellSequences(const LanguageModel& model, const EncodedPrompt& prompt,
                const std::vector<ComparedCell>& cells, int64_t new_tokens) {
    sequences_.reserve(cells.size());
    for (const ComparedCell& cell : cells) {
      strategies_.push_back(make_strategy(cell.preset));
      sequences_.emplace_back(model, prompt, *strategies_.back(), Budget::fraction(cell.keep));
    }
    for (Sequence& sequence : sequences_) sequence.reserve(new_tokens);
    batch_ = pointers_to(sequences_);
  }

  const std::vector<Sequence*>& batch() const { return batch_; }

 private:
  std::vector<std::unique_ptr<Strategy>> strategies_;
  std::vector<Sequence> sequences_;
  std::vector<Sequence*> batch_;
};

/// Greedy tokens and log likelihoods of cells.
struct CellResults {
  std::vector<std::vector<int64_t>> tokens;
  std::vector<ForcedScores> one_pass;
  std::vector<ForcedScores> stepped;
};

inline CellResults results_of(const LanguageModel& model, const EncodedPrompt& prompt,
                              const std::vector<ComparedCell>& cells,
                              const std::vector<int64_t>& answer, int64_t new_tokens) {
  CellResults results;
  // On a device with graphs, whose first steps run by themselves.
  const std::unique_ptr<DecodeGraphs> graphs = DecodeGraphs::on(prompt.cache.shape().device);
  {
    const CellSequences sequences(model, prompt, cells, new_tokens);
    GreedyOptions options;
    options.max_new_tokens = new_tokens;
    options.graphs = graphs.get();
    for (GreedyText& text : generate_greedy(model, sequences.batch(), options)) {
      EXPECT_EQ(text.failure, "");
      results.tokens.push_back(std::move(text.token_ids));
    }
  }
  const auto scored = static_cast<int64_t>(answer.size());
  for (const bool one_pass : {true, false}) {
    const CellSequences sequences(model, prompt, cells, scored);
    ForcedOptions options;
    options.one_pass = one_pass;
    options.graphs = graphs.get();
    (one_pass ? results.one_pass : results.stepped) =
        teacher_force(model, sequences.batch(), answer, options);
  }
  return results;
}

inline void expect_equal_scores(const ForcedScores& a, const ForcedScores& b) {
  ASSERT_EQ(a.nll.size(), b.nll.size());
  for (size_t i = 0; i < a.nll.size(); ++i)
    EXPECT_NEAR(a.nll[i], b.nll[i], kLikelihoodLimit) << "token " << i;
  ASSERT_TRUE(a.mean_kl.has_value() == b.mean_kl.has_value());
  if (a.mean_kl.has_value()) {
    EXPECT_NEAR(*a.mean_kl, *b.mean_kl, kLikelihoodLimit);
  }
}

/// That a device gives the CPU's results, and at budget 1.0 those of cell 0, the full cache.
inline void expect_equal_results(const CellResults& device, const CellResults& cpu,
                                 const std::vector<ComparedCell>& cells) {
  for (size_t c = 0; c < cells.size(); ++c) {
    SCOPED_TRACE(cells[c].name());
    EXPECT_EQ(device.tokens[c], cpu.tokens[c]);
    expect_equal_scores(device.one_pass[c], cpu.one_pass[c]);
    expect_equal_scores(device.stepped[c], cpu.stepped[c]);
    if (cells[c].keep < 1) continue;
    EXPECT_EQ(device.tokens[c], device.tokens[0]);
    expect_equal_scores(device.stepped[c], device.stepped[0]);
  }
}

}  // namespace elastikv
