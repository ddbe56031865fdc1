// Scoring in one masked pass against the token loop.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/evaluation.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/tiny_models.h"

namespace elastikv {
namespace {

// Nats of one token: linear layers over many rows, and attention in another order of summation.
constexpr double kTolerance = 1e-4;

class OnePass : public testing::TestWithParam<std::string> {
 protected:
  OnePass() : tiny_(GetParam()), prompt_(tiny_.encode(tiny_.tokens() - 20)) {
    const std::vector<int64_t> ids = to_ids(tiny_.ids());
    for (int repeat = 0; repeat < 3; ++repeat)
      answer_.insert(answer_.end(), ids.end() - 20, ids.end());
  }

  struct Run {
    std::vector<ForcedScores> scores;
    std::vector<std::vector<std::vector<int64_t>>> positions;  // [sequences][layers]: sorted
  };

  Run run(const std::vector<const Strategy*>& strategies, const std::vector<Budget>& budgets,
          bool one_pass) const {
    std::vector<Sequence> sequences;
    for (size_t i = 0; i < strategies.size(); ++i)
      sequences.emplace_back(tiny_.language(), prompt_, *strategies[i], budgets[i]);
    std::vector<Sequence*> pointers;
    for (Sequence& sequence : sequences) pointers.push_back(&sequence);
    ForcedOptions options;
    options.one_pass = one_pass;
    Run result;
    result.scores = teacher_force(tiny_.language(), pointers, answer_, options);
    for (const Sequence& sequence : sequences) {
      auto& layers = result.positions.emplace_back();
      const KVCache& cache = sequence.cache();
      for (int64_t layer = 0; layer < cache.shape().layers; ++layer) {
        auto& all = layers.emplace_back();
        for (int64_t group = 0; group < cache.groups(layer); ++group) {
          std::vector<int64_t> positions = cache.positions(layer, group);
          std::sort(positions.begin(), positions.end());
          all.insert(all.end(), positions.begin(), positions.end());
        }
      }
    }
    return result;
  }

  TinyModel tiny_;
  EncodedPrompt prompt_;
  std::vector<int64_t> answer_;
};

INSTANTIATE_TEST_SUITE_P(Models, OnePass, testing::ValuesIn(tiny_model_names()),
                         [](const auto& info) { return info.param; });

TEST_P(OnePass, EveryPresetScoresAsTheTokenLoopDoes) {
  const auto full = make_strategy("full");
  for (const PresetInfo& preset : list_presets()) {
    const std::string& name = preset.name;
    const auto strategy = make_strategy(name);
    if (!can_run(*strategy, prompt_)) continue;
    std::vector<const Strategy*> strategies = {full.get()};
    std::vector<Budget> budgets = {Budget::unlimited()};
    for (const double keep : {0.05, 0.3, 0.7, 1.0}) {
      strategies.push_back(strategy.get());
      budgets.push_back(Budget::fraction(keep));
    }
    strategies.push_back(strategy.get());
    budgets.push_back(Budget::tokens(12));
    const Run loop = run(strategies, budgets, /*one_pass=*/false);
    const Run pass = run(strategies, budgets, /*one_pass=*/true);
    for (size_t i = 0; i < strategies.size(); ++i) {
      ASSERT_EQ(pass.scores[i].nll.size(), loop.scores[i].nll.size());
      for (size_t t = 0; t < loop.scores[i].nll.size(); ++t)
        ASSERT_NEAR(pass.scores[i].nll[t], loop.scores[i].nll[t], kTolerance)
            << name << ", cell " << i << ", token " << t;
      EXPECT_NEAR(pass.scores[i].mean_kl.value(), loop.scores[i].mean_kl.value(), kTolerance)
          << name;
      EXPECT_EQ(pass.positions[i], loop.positions[i]) << name << ", cell " << i;
    }
    // The budget 1.0 is the full cache.
    EXPECT_EQ(pass.scores[4].nll, pass.scores[0].nll) << name;
    EXPECT_EQ(pass.scores[4].mean_kl, 0.0) << name;
  }
}

// A chunk of a large model takes minutes on a CPU: one is seen, and can be ended, layer by layer.
TEST_P(OnePass, TellsItsProgressByLayersAndEndsWhereItIsTold) {
  const auto full = make_strategy("full");
  const int64_t layers = tiny_.language().cache_shape().layers;
  const auto steps = static_cast<int64_t>(answer_.size()) - 1;
  ASSERT_LE(steps, kTokensTogether);
  Sequence sequence(tiny_.language(), prompt_, *full, Budget::unlimited());
  ForcedOptions options;
  std::vector<int64_t> told;
  options.on_step = [&](int64_t done, int64_t of, int64_t rows) {
    EXPECT_EQ(of, steps);
    EXPECT_EQ(rows, 1);
    told.push_back(done);
  };
  teacher_force(tiny_.language(), {&sequence}, answer_, options);
  ASSERT_EQ(std::ssize(told), layers);
  for (int64_t layer = 0; layer < layers; ++layer)
    EXPECT_EQ(told[static_cast<size_t>(layer)], steps * layer / layers);

  struct Enough {};
  Sequence ended(tiny_.language(), prompt_, *full, Budget::unlimited());
  told.clear();
  options.on_step = [&](int64_t done, int64_t /*of*/, int64_t /*rows*/) {
    told.push_back(done);
    throw Enough();
  };
  EXPECT_THROW(teacher_force(tiny_.language(), {&ended}, answer_, options), Enough);
  EXPECT_EQ(told, std::vector<int64_t>{0});
}

TEST_P(OnePass, PoliciesThatReadNoAttentionForeseeWhatTheyEvict) {
  for (const auto& [name, foreseen] :
       std::vector<std::pair<std::string, bool>>{{"full", true},
                                                 {"elastic", true},
                                                 {"streaming-llm", true},
                                                 {"random", true},
                                                 {"elastic-plus", false},
                                                 {"h2o", false},
                                                 {"tova", false},
                                                 {"snapkv", true}}) {
    const auto strategy = make_strategy(name);
    Sequence sequence(tiny_.language(), prompt_, *strategy, Budget::fraction(0.3));
    EXPECT_EQ(sequence.foresee(10), foreseen) << name;
  }
}

TEST_P(OnePass, LongAnswersGoThroughInChunks) {
  // More tokens than fit one chunk of rows, so that entries go between chunks and inside them.
  std::vector<int64_t> answer;
  while (answer.size() < 90) answer.insert(answer.end(), answer_.begin(), answer_.begin() + 10);
  const auto elastic = make_strategy("elastic");
  const auto streaming = make_strategy("streaming-llm");
  const auto full = make_strategy("full");
  const auto run = [&](bool one_pass) {
    std::vector<Sequence> sequences;
    sequences.emplace_back(tiny_.language(), prompt_, *full, Budget::unlimited());
    // 64 sequences leave 32 tokens to a chunk.
    for (int i = 0; i < 63; ++i) {
      sequences.emplace_back(tiny_.language(), prompt_, i % 2 == 0 ? *elastic : *streaming,
                             Budget::tokens(6 + i / 2));
    }
    std::vector<Sequence*> pointers;
    for (Sequence& sequence : sequences) pointers.push_back(&sequence);
    ForcedOptions options;
    options.one_pass = one_pass;
    return teacher_force(tiny_.language(), pointers, answer, options);
  };
  const auto loop = run(false);
  const auto pass = run(true);
  for (size_t i = 0; i < loop.size(); ++i) {
    for (size_t t = 0; t < answer.size(); ++t)
      ASSERT_NEAR(pass[i].nll[t], loop[i].nll[t], kTolerance)
          << "sequence " << i << ", token " << t;
  }
}

}  // namespace
}  // namespace elastikv
