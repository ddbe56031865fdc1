// Tokens that come after their prompt's compression, on the random small models.
#include "runtime/late_tokens.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "runtime/evaluation.h"
#include "runtime/generation.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/tensors.h"
#include "support/tiny_models.h"

namespace elastikv {
namespace {

// fp32 with sums in another order: a chunk beside a prefill or steps. Logits are of up to 23; the
// largest difference seen of the models beside transformers is 3e-5.
constexpr double kTolerance = 1e-4;
constexpr int64_t kLate = 5;

class CompressAtSequence : public testing::TestWithParam<std::string> {
 protected:
  CompressAtSequence()
      : tiny_(GetParam()), whole_(tiny_.encode()), prompt_(tiny_.encode(tiny_.tokens() - kLate)) {
    const std::vector<int64_t> all = to_ids(tiny_.ids());
    late_.assign(all.end() - kLate, all.end());
  }

  const LanguageModel& model() const { return tiny_.language(); }
  Sequence start(const Strategy& strategy, const Budget& budget, bool kept = true) const {
    return {model(), prompt_, strategy, budget, {late_, kept}};
  }
  at::Tensor begin(Sequence& sequence) const { return begin_answers(model(), {&sequence}, {})[0]; }
  std::vector<int64_t> some_tokens(int64_t count) const {
    std::mt19937 random(11);
    std::vector<int64_t> tokens;
    for (int64_t i = 0; i < count; ++i)
      tokens.push_back(static_cast<int64_t>(random() % model().vocab_size()));
    return tokens;
  }
  std::vector<int64_t> greedy(Sequence& sequence) const {
    GreedyOptions options;
    options.max_new_tokens = 12;
    return generate_greedy(model(), {&sequence}, options)[0].token_ids;
  }

  TinyModel tiny_;
  EncodedPrompt whole_;
  EncodedPrompt prompt_;
  std::vector<int64_t> late_;
};

INSTANTIATE_TEST_SUITE_P(Models, CompressAtSequence, testing::ValuesIn(tiny_model_names()),
                         [](const auto& info) { return info.param; });

// Prefill and chunks sum in orders of their own, so that the last bits differ: sweeps prefill the
// whole prompt for caches without a limit, which are then the same under any moment.
TEST_P(CompressAtSequence, WithoutALimitLateTokensSayWhatThePrefillSays) {
  const auto full = make_strategy("full");
  Sequence late = start(*full, Budget::unlimited());
  EXPECT_LE(max_difference(begin(late), whole_.logits), kTolerance);
  EXPECT_EQ(late.tokens_seen(), tiny_.tokens());
  EXPECT_TRUE(late.late().ids.empty());
  Sequence again = start(*full, Budget::unlimited());
  Sequence plain(model(), whole_, *full, Budget::unlimited());
  EXPECT_EQ(greedy(again), greedy(plain));
}

TEST_P(CompressAtSequence, UnderThePolicyTheyAreLikeTokensOfAnAnswer) {
  for (const PresetInfo& preset : list_presets()) {
    const auto strategy = make_strategy(preset.name);
    if (!can_run(*strategy, prompt_)) continue;
    Sequence late = start(*strategy, Budget::fraction(0.4), /*kept=*/false);
    const at::Tensor first = begin(late);
    Sequence stepped(model(), prompt_, *strategy, Budget::fraction(0.4));
    at::Tensor logits;
    for (const int64_t token : late_) logits = decode_step(model(), {&stepped}, {token});
    EXPECT_LE(max_difference(first, logits[0]), kTolerance) << preset.name;
    for (int64_t layer = 0; layer < late.cache().shape().layers; ++layer) {
      for (int64_t group = 0; group < late.cache().groups(layer); ++group) {
        std::vector<int64_t> ours = late.cache().positions(layer, group);
        std::vector<int64_t> theirs = stepped.cache().positions(layer, group);
        std::sort(ours.begin(), ours.end());
        std::sort(theirs.begin(), theirs.end());
        EXPECT_EQ(ours, theirs) << preset.name << ", layer " << layer;
      }
    }
  }
}

TEST_P(CompressAtSequence, KeptOnesComeOnTopOfTheBudget) {
  const std::vector<int64_t> answer = some_tokens(10);
  for (const PresetInfo& preset : list_presets()) {
    const auto strategy = make_strategy(preset.name);
    if (!can_run(*strategy, prompt_)) continue;
    const Budget budget = Budget::fraction(0.4, Budget::Growth::kPrompt);
    Sequence plain(model(), prompt_, *strategy, budget);
    Sequence late = start(*strategy, budget);
    late.reserve(std::ssize(answer));
    std::vector<std::vector<int64_t>> before;
    for (int64_t layer = 0; layer < late.cache().shape().layers; ++layer)
      before.push_back(late.cache().head_lengths(layer));
    begin(late);
    for (int64_t layer = 0; layer < late.cache().shape().layers; ++layer) {
      for (size_t head = 0; head < before[static_cast<size_t>(layer)].size(); ++head) {
        EXPECT_EQ(late.cache().head_lengths(layer)[head],
                  before[static_cast<size_t>(layer)][head] + kLate)
            << preset.name;
      }
    }
    // Compressed again every few tokens, those included, it is not always at its budget; and the
    // released index may lie before the beginning of a cache as short as these, and then evicts
    // nothing.
    if (strategy->description().find("recompress") != std::string::npos ||
        preset.name == "elastic-released")
      continue;
    // From then on the policy holds what it held without them, and they count for nothing.
    for (const int64_t token : answer) {
      decode_step(model(), {&late}, {token});
      decode_step(model(), {&plain}, {token});
    }
    for (int64_t layer = 0; layer < late.cache().shape().layers; ++layer) {
      EXPECT_EQ(late.cache().max_length(layer), plain.cache().max_length(layer) + kLate)
          << preset.name << ", layer " << layer;
    }
  }
}

TEST_P(CompressAtSequence, OnePassOverThemAndTheAnswerIsAsGoodAsSteps) {
  const std::vector<int64_t> answer = some_tokens(9);
  for (const char* name : {"full", "elastic", "streaming-llm", "random", "snapkv"}) {
    const auto strategy = make_strategy(name, name == std::string("elastic")
                                                  ? std::vector<std::string>{"compaction=evict"}
                                                  : std::vector<std::string>{});
    for (const bool kept : {true, false}) {
      std::vector<std::vector<double>> nll;
      for (const bool one_pass : {true, false}) {
        Sequence sequence = start(*strategy, Budget::fraction(0.5), kept);
        ForcedOptions options;
        options.one_pass = one_pass;
        nll.push_back(teacher_force(model(), {&sequence}, answer, options)[0].nll);
        ASSERT_EQ(nll.back().size(), answer.size());
      }
      for (size_t i = 0; i < answer.size(); ++i)
        EXPECT_NEAR(nll[0][i], nll[1][i], kTolerance) << name << (kept ? "" : ", policy");
    }
  }
}

TEST_P(CompressAtSequence, TheFirstTokenOfAnAnswerCounts) {
  const auto full = make_strategy("full");
  const auto window = make_strategy("window");
  const std::vector<int64_t> answer = some_tokens(1);
  Sequence reference(model(), whole_, *full, Budget::unlimited());
  Sequence late = start(*window, Budget::tokens(3));
  Sequence plain(model(), whole_, *window, Budget::tokens(3));
  const auto scores = teacher_force(model(), {&reference, &late, &plain}, answer, ForcedOptions());
  EXPECT_EQ(scores[0].nll, scores[2].nll);
  EXPECT_NE(scores[0].nll, scores[1].nll);
  EXPECT_FALSE(scores[2].mean_kl.has_value()) << "its only token comes from the prompt";
  ASSERT_TRUE(scores[1].mean_kl.has_value());
  EXPECT_GT(*scores[1].mean_kl, 0);
}

TEST_P(CompressAtSequence, ABatchChangesNoBit) {
  const std::vector<int64_t> answer = some_tokens(6);
  const std::vector<std::string> names{"full", "h2o", "elastic", "streaming-llm", "tova", "snapkv"};
  std::vector<std::unique_ptr<Strategy>> strategies;
  std::vector<Sequence> batch;
  for (const std::string& name : names) {
    strategies.push_back(make_strategy(name));
    batch.push_back(start(*strategies.back(), Budget::fraction(0.4)));
  }
  std::vector<Sequence> alone = restart_all(batch);
  const auto together = teacher_force(model(), pointers_to(batch), answer, ForcedOptions());
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(teacher_force(model(), {&alone[i]}, answer, ForcedOptions())[0].nll, together[i].nll)
        << names[i];
  }
}

// Where a policy need not see late tokens, they are run once for all that begin behind them.
TEST_P(CompressAtSequence, RestartsBehindThemAreThoseThatRunThemAnew) {
  const std::vector<int64_t> answer = some_tokens(9);
  for (const PresetInfo& preset : list_presets()) {
    const auto strategy = make_strategy(preset.name);
    if (!can_run(*strategy, prompt_)) continue;
    Sequence first = start(*strategy, Budget::fraction(0.4));
    if (!first.late_without_policy()) continue;
    for (const bool one_pass : {true, false}) {
      ForcedOptions options;
      options.one_pass = one_pass;
      Sequence anew = start(*strategy, Budget::fraction(0.4));
      const auto expected = teacher_force(model(), {&anew}, answer, options)[0].nll;
      if (!first.late().ids.empty()) begin(first);
      Sequence behind = first.restart();
      EXPECT_TRUE(behind.begins_late());
      EXPECT_EQ(behind.tokens_seen(), tiny_.tokens());
      EXPECT_EQ(teacher_force(model(), {&behind}, answer, options)[0].nll, expected)
          << preset.name << (one_pass ? "" : ", step by step");
    }
    Sequence anew = start(*strategy, Budget::fraction(0.4));
    EXPECT_EQ(greedy(first), greedy(anew)) << preset.name;
  }
}

// Questions of one compressed prompt, each as if it were the only one, and all as one batch.
TEST_P(CompressAtSequence, SeveralQuestionsChangeNoBit) {
  const std::vector<LateTokens> questions{
      {late_}, {{late_[0], late_[2]}}, {{late_[4], late_[1], late_[3], late_[3], late_[0]}}};
  const std::vector<std::vector<int64_t>> answers{some_tokens(9), some_tokens(2), some_tokens(5)};
  std::vector<EncodedPrompt> forks;
  for (uint64_t seed = 0; seed < questions.size(); ++seed) forks.push_back(prompt_.fork(seed));
  for (const PresetInfo& preset : list_presets()) {
    const auto strategy = make_strategy(preset.name);
    if (!can_run(*strategy, prompt_)) continue;
    const Budget budget = Budget::fraction(0.4);
    const Sequence compressed(model(), prompt_, *strategy, budget);
    std::vector<Sequence> asked;
    for (size_t q = 0; q < questions.size(); ++q)
      asked.push_back(compressed.ask(forks[q], questions[q]));
    std::vector<Sequence> written = restart_all(asked);
    std::vector<ForcedAnswer> together;
    for (size_t q = 0; q < questions.size(); ++q) together.push_back({{&asked[q]}, answers[q]});
    const auto scores = teacher_force(model(), together, ForcedOptions());
    GreedyOptions options;
    options.max_new_tokens = 6;
    options.most_of_each = {6, 3, 1};
    const auto texts = generate_greedy(model(), pointers_to(written), options);
    for (size_t q = 0; q < questions.size(); ++q) {
      const auto alone = [&] { return compressed.ask(forks[q], questions[q]); };
      Sequence scored = alone();
      EXPECT_EQ(scores[q][0].nll,
                teacher_force(model(), {&scored}, answers[q], ForcedOptions())[0].nll)
          << preset.name << ", question " << q;
      Sequence one = alone();
      GreedyOptions own;
      own.max_new_tokens = options.most_of_each[q];
      EXPECT_EQ(texts[q].token_ids, generate_greedy(model(), {&one}, own)[0].token_ids)
          << preset.name << ", question " << q;
    }
  }
}

}  // namespace
}  // namespace elastikv
