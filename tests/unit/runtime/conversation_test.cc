// Sequences that go on from turn to turn, on the random small models: beside a fresh prefill,
// beside caches that are cut by hand, and branches beside what they were taken from.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "runtime/late_tokens.h"
#include "runtime/sequence.h"
#include "strategies/eviction_policy.h"
#include "strategies/registry.h"
#include "support/tensors.h"
#include "support/tiny_models.h"

namespace elastikv {
namespace {

// As in late_tokens_test.cc: sums in another order.
constexpr double kTolerance = 1e-4;

using Ids = std::vector<int64_t>;

class GoingOn : public testing::TestWithParam<std::string> {
 protected:
  GoingOn() : tiny_(GetParam()), prompt_(tiny_.encode()) {}

  const LanguageModel& model() const { return tiny_.language(); }
  Ids some_tokens(int64_t count, uint32_t seed) const {
    std::mt19937 random(seed);
    Ids tokens;
    for (int64_t i = 0; i < count; ++i)
      tokens.push_back(
          static_cast<int64_t>(random() % static_cast<uint64_t>(model().vocab_size())));
    return tokens;
  }
  /// Runs the late tokens of a sequence: f32 [vocab].
  at::Tensor run(Sequence& sequence) const { return begin_answers(model(), {&sequence}, {})[0]; }
  at::Tensor run(Sequence& sequence, Ids tokens, bool kept, bool foreseen = true) const {
    const int64_t count = std::ssize(tokens);
    sequence.go_on({std::move(tokens), kept});
    sequence.reserve(/*new_tokens=*/0);
    if (!kept && foreseen) sequence.foresee(count);
    return run(sequence);
  }

  TinyModel tiny_;
  EncodedPrompt prompt_;
};

INSTANTIATE_TEST_SUITE_P(Models, GoingOn, testing::ValuesIn(tiny_model_names()),
                         [](const auto& info) { return info.param; });

std::vector<int64_t> sorted_positions(const KVCache& cache, int64_t layer, int64_t group) {
  std::vector<int64_t> positions = cache.positions(layer, group);
  std::sort(positions.begin(), positions.end());
  return positions;
}

void expect_same_entries(const Sequence& a, const Sequence& b, const std::string& what) {
  for (int64_t layer = 0; layer < a.cache().shape().layers; ++layer) {
    ASSERT_EQ(a.cache().groups(layer), b.cache().groups(layer)) << what;
    for (int64_t group = 0; group < a.cache().groups(layer); ++group) {
      EXPECT_EQ(sorted_positions(a.cache(), layer, group),
                sorted_positions(b.cache(), layer, group))
          << what << ", layer " << layer;
    }
  }
}

TEST_P(GoingOn, TheFullCacheSaysWhatAFreshPrefillSays) {
  const auto full = make_strategy("full");
  const int64_t begin = std::max<int64_t>(tiny_.text_begin(), tiny_.tokens() / 2) + 1;
  ASSERT_LT(begin + 2, tiny_.tokens());
  const EncodedPrompt first = tiny_.encode(begin);
  Sequence sequence(model(), first, *full, Budget::unlimited());
  const Ids all = to_ids(tiny_.ids());
  for (int64_t at = begin; at < tiny_.tokens();) {
    const int64_t count = std::min<int64_t>(at % 3 + 1, tiny_.tokens() - at);
    const at::Tensor logits =
        run(sequence, Ids(all.begin() + at, all.begin() + at + count), at % 2 == 0);
    at += count;
    EXPECT_LE(max_difference(logits, tiny_.encode(at).logits), kTolerance) << at;
    EXPECT_EQ(sequence.tokens_seen(), at);
  }
}

TEST_P(GoingOn, QuestionsThatAreKeptComeOnTopOfTheBudget) {
  for (const PresetInfo& preset : list_presets()) {
    const auto strategy = make_strategy(preset.name);
    if (!can_run(*strategy, prompt_)) continue;
    // As in late_tokens_test.cc.
    if (strategy->description().find("recompress") != std::string::npos ||
        preset.name == "elastic-released")
      continue;
    const Budget budget = Budget::fraction(0.4, Budget::Growth::kPrompt);
    Sequence plain(model(), prompt_, *strategy, budget);
    Sequence sequence(model(), prompt_, *strategy, budget);
    int64_t kept = 0;
    for (uint32_t turn = 0; turn < 3; ++turn) {
      const Ids answer = some_tokens(4 + turn, 50 + turn);
      run(sequence, answer, /*kept=*/false, /*foreseen=*/turn != 1);
      run(plain, answer, /*kept=*/false);
      run(sequence, some_tokens(3 + turn, 70 + turn), /*kept=*/true);
      kept += 3 + turn;
      EXPECT_EQ(sequence.slots_allowed(), plain.slots_allowed() + kept);
      for (int64_t layer = 0; layer < sequence.cache().shape().layers; ++layer) {
        EXPECT_EQ(sequence.cache().max_length(layer), plain.cache().max_length(layer) + kept)
            << preset.name << ", turn " << turn << ", layer " << layer;
      }
    }
  }
}

TEST_P(GoingOn, ChunksAndStepsEvictTheSame) {
  for (const PresetInfo& preset : list_presets()) {
    const auto strategy = make_strategy(preset.name);
    if (!can_run(*strategy, prompt_)) continue;
    Sequence chunks(model(), prompt_, *strategy, Budget::fraction(0.4));
    Sequence steps(model(), prompt_, *strategy, Budget::fraction(0.4));
    Sequence mixed(model(), prompt_, *strategy, Budget::fraction(0.4));
    for (uint32_t turn = 0; turn < 4; ++turn) {
      const Ids answer = some_tokens(5, turn);
      const at::Tensor one = run(chunks, answer, /*kept=*/false);
      const at::Tensor other = run(steps, answer, /*kept=*/false, /*foreseen=*/false);
      run(mixed, answer, /*kept=*/false, /*foreseen=*/turn % 2 == 0);
      EXPECT_LE(max_difference(one, other), kTolerance) << preset.name;
      const Ids question = some_tokens(1 + turn, 30 + turn);
      const at::Tensor asked = run(chunks, question, /*kept=*/true);
      EXPECT_LE(max_difference(asked, run(steps, question, /*kept=*/true)), kTolerance)
          << preset.name;
      EXPECT_LE(max_difference(asked, run(mixed, question, /*kept=*/true)), kTolerance)
          << preset.name;
      expect_same_entries(chunks, steps, preset.name);
      expect_same_entries(chunks, mixed, preset.name);
    }
  }
}

TEST_P(GoingOn, ABranchIsAnotherSequenceFromThere) {
  for (const PresetInfo& preset : list_presets()) {
    const auto strategy = make_strategy(preset.name);
    if (!can_run(*strategy, prompt_)) continue;
    Sequence sequence(model(), prompt_, *strategy, Budget::fraction(0.4));
    Sequence alone(model(), prompt_, *strategy, Budget::fraction(0.4));
    for (uint32_t turn = 0; turn < 3; ++turn) {
      const Ids question = some_tokens(4, turn);
      const Ids answer = some_tokens(6, 20 + turn);
      Sequence before = sequence.branch();
      const at::Tensor asked = run(sequence, question, /*kept=*/turn != 1);
      EXPECT_LE(max_difference(asked, run(alone, question, /*kept=*/turn != 1)), kTolerance)
          << preset.name;
      // What a branch does is nobody else's business.
      Sequence other = sequence.branch();
      for (const int64_t token : some_tokens(9, 40)) decode_step(model(), {&other}, {token});
      run(before, some_tokens(5, 41), /*kept=*/false);
      Sequence written = sequence.branch();
      at::Tensor steps;
      at::Tensor own;
      for (const int64_t token : answer) {
        steps = decode_step(model(), {&written}, {token});
        own = decode_step(model(), {&alone}, {token});
      }
      EXPECT_LE(max_difference(steps, own), kTolerance) << preset.name << ", turn " << turn;
      expect_same_entries(written, alone, preset.name);
      run(sequence, answer, /*kept=*/false, /*foreseen=*/false);
      expect_same_entries(sequence, alone, preset.name);
    }
  }
}

/// StreamingLLM's published cache over a conversation, cut by hand: after every token the oldest
/// entries behind the sinks go, and keys stand at the ranks of their entries.
class ByHand {
 public:
  ByHand(const LanguageModel& model, const EncodedPrompt& prompt, int64_t sinks, int64_t slots)
      : model_(model), cache_(prompt.cache.fork()), sinks_(sinks), slots_(slots) {
    model.unrotate_keys(cache_);
    seen_ = prompt.statistics.prompt_tokens;
    cut();
  }

  at::Tensor run(const Ids& tokens, bool evicts) {
    if (!evicts) slots_ += std::ssize(tokens);
    at::Tensor logits;
    for (const int64_t token : tokens) {
      DecodeInput input;
      input.cache = &cache_;
      input.token = token;
      input.token_index = seen_++;
      input.positions = PositionMode::kRerotated;
      logits = model_.decode({input}).logits[0];
      cut();
    }
    return logits;
  }
  const KVCache& cache() const { return cache_; }

 private:
  void cut() {
    for (int64_t layer = 0; layer < cache_.shape().layers; ++layer) {
      while (cache_.length(layer) > slots_) {
        const std::vector<int64_t> slots = slots_by_position(cache_.positions(layer));
        cache_.evict(layer, /*group=*/0, slots.at(static_cast<size_t>(sinks_)));
      }
    }
  }

  const LanguageModel& model_;
  KVCache cache_;
  int64_t sinks_;
  int64_t slots_;
  int64_t seen_ = 0;
};

TEST_P(GoingOn, StreamingLlmHasItsPublishedPositionsInEveryTurn) {
  constexpr int64_t kSinks = 4;
  constexpr int64_t kSlots = 9;
  const auto strategy = make_strategy("streaming-llm");
  Sequence sequence(model(), prompt_, *strategy, Budget::tokens(kSlots));
  ByHand by_hand(model(), prompt_, kSinks, kSlots);
  int64_t slots = kSlots;
  for (uint32_t turn = 0; turn < 4; ++turn) {
    const Ids answer = some_tokens(7 + turn, turn);
    EXPECT_LE(
        max_difference(run(sequence, answer, /*kept=*/false), by_hand.run(answer, /*evicts=*/true)),
        kTolerance)
        << turn;
    const Ids question = some_tokens(3, 90 + turn);
    const bool kept = turn % 2 == 0;
    EXPECT_LE(max_difference(run(sequence, question, kept), by_hand.run(question, !kept)),
              kTolerance)
        << turn;
    slots += kept ? 3 : 0;
    Ids expected;  // the sinks and the most recent
    for (int64_t i = 0; i < kSinks; ++i) expected.push_back(i);
    for (int64_t i = sequence.tokens_seen() - (slots - kSinks); i < sequence.tokens_seen(); ++i)
      expected.push_back(i);
    for (int64_t layer = 0; layer < sequence.cache().shape().layers; ++layer) {
      EXPECT_EQ(sorted_positions(sequence.cache(), layer, 0), expected);
      EXPECT_EQ(sorted_positions(by_hand.cache(), layer, 0), expected);
      // Positions within the cache: 0 ... length - 1, whatever was evicted.
      Ids distances = sequence.cache().rank_distances(layer, 0);
      std::sort(distances.begin(), distances.end());
      for (int64_t rank = 0; rank < slots; ++rank)
        EXPECT_EQ(distances[static_cast<size_t>(rank)], rank);
    }
  }
}

}  // namespace
}  // namespace elastikv
