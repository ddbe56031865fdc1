// Sequences under strategies: what a full budget, slot order, forks and position modes may change,
// and what they may not.
#include "runtime/sequence.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "base/json_fields.h"
#include "kernels/rotary.h"
#include "models/llama/config.h"
#include "runtime/evaluation.h"
#include "runtime/generation.h"
#include "strategies/registry.h"
#include "support/tensors.h"
#include "support/tiny_models.h"

namespace elastikv {
namespace {

// Of the largest logit: sums over slots in another order, rotations taken off and put on again. The
// largest seen is 3.6e-6.
constexpr double kTolerance = 1e-5;

/// Largest difference as a share of the largest logit.
double relative_difference(const at::Tensor& logits, const at::Tensor& expected) {
  return max_difference(logits, expected) / expected.abs().max().item<double>();
}

/// Logits of `tokens` run one by one, alone: [tokens][vocab].
std::vector<at::Tensor> run_alone(const LanguageModel& model, Sequence& sequence,
                                  const std::vector<int64_t>& tokens) {
  std::vector<at::Tensor> logits;
  for (const int64_t token : tokens)
    logits.push_back(decode_step(model, {&sequence}, {token})[0].clone());
  return logits;
}

void expect_equal_bits(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b,
                       const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(at::equal(a[i], b[i])) << what << ": step " << i;
}

std::vector<int64_t> some_tokens(const TinyModel& tiny, int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int64_t> tokens;
  for (int64_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<int64_t>(random() % tiny.language().vocab_size()));
  return tokens;
}

class TinySequence : public testing::TestWithParam<std::string> {
 protected:
  TinySequence() : tiny_(GetParam()), prompt_(tiny_.encode()), full_(make_strategy("full")) {}

  Sequence start(const Strategy& strategy, const Budget& budget) const {
    return Sequence(tiny_.language(), prompt_, strategy, budget);
  }

  TinyModel tiny_;
  EncodedPrompt prompt_;
  std::unique_ptr<Strategy> full_;
};

INSTANTIATE_TEST_SUITE_P(Models, TinySequence, testing::ValuesIn(tiny_model_names()),
                         [](const auto& info) { return info.param; });

TEST_P(TinySequence, AFullBudgetIsTheFullCacheToTheLastBit) {
  const std::vector<int64_t> answer = some_tokens(tiny_, 12, /*seed=*/1);
  std::vector<std::unique_ptr<Strategy>> strategies;
  std::vector<std::string> names;
  for (const PresetInfo& preset : list_presets()) {
    names.push_back(preset.name);
    strategies.push_back(make_strategy(preset.name));
  }
  ASSERT_GE(names.size(), 9U);

  for (const Budget& budget : {Budget::unlimited(), Budget::fraction(1.0)}) {
    std::vector<Sequence> sequences;
    sequences.push_back(start(*full_, Budget::unlimited()));
    for (const auto& strategy : strategies) sequences.push_back(start(*strategy, budget));
    std::vector<Sequence> again;
    for (const Sequence& sequence : sequences) again.push_back(sequence.restart());
    std::vector<Sequence> alone;
    for (const Sequence& sequence : sequences) alone.push_back(sequence.restart());
    const auto pointers = [](std::vector<Sequence>& all) {
      std::vector<Sequence*> result;
      for (Sequence& sequence : all) result.push_back(&sequence);
      return result;
    };

    const auto scores =
        teacher_force(tiny_.language(), pointers(sequences), answer, ForcedOptions());
    GreedyOptions greedy;
    greedy.max_new_tokens = 16;
    const auto texts = generate_greedy(tiny_.language(), pointers(again), greedy);
    const std::vector<at::Tensor> reference = run_alone(tiny_.language(), alone[0], answer);
    ASSERT_EQ(scores[0].nll.size(), answer.size());
    for (size_t i = 0; i < names.size(); ++i) {
      EXPECT_EQ(scores[i + 1].nll, scores[0].nll) << names[i];
      EXPECT_EQ(scores[i + 1].mean_kl, 0.0) << names[i];
      EXPECT_EQ(texts[i + 1].token_ids, texts[0].token_ids) << names[i];
      expect_equal_bits(run_alone(tiny_.language(), alone[i + 1], answer), reference, names[i]);
      EXPECT_EQ(sequences[i + 1].cache().bytes(), sequences[0].cache().bytes()) << names[i];
    }
  }
}

TEST_P(TinySequence, SmallBudgetsDoChangeTheLogits) {
  // Without this, the test above would also pass for strategies that never do anything.
  const std::vector<int64_t> answer = some_tokens(tiny_, 6, /*seed=*/1);
  for (const PresetInfo& preset : list_presets()) {
    if (preset.name == "full") continue;
    const auto strategy = make_strategy(preset.name);
    if (!can_run(*strategy, prompt_)) continue;
    Sequence full = start(*full_, Budget::unlimited());
    Sequence sequence = start(*strategy, Budget::fraction(0.3));
    const auto scores =
        teacher_force(tiny_.language(), {&full, &sequence}, answer, ForcedOptions());
    EXPECT_GT(scores[1].mean_kl, 1e-6) << preset.name;
    EXPECT_LT(sequence.cache().bytes(), full.cache().bytes()) << preset.name;
  }
}

TEST_P(TinySequence, TheOrderOfSlotsDoesNotMatter) {
  const std::vector<int64_t> tokens = some_tokens(tiny_, 5, /*seed=*/2);
  for (const char* name : {"full", "elastic", "h2o", "streaming-llm", "random", "h2o-released"}) {
    const auto strategy = make_strategy(name);
    Sequence plain = start(*strategy, Budget::fraction(0.4));
    Sequence permuted = plain.restart();
    KVCache& cache = *permuted.next(/*token=*/0).cache;
    for (int64_t layer = 0; layer < cache.shape().layers; ++layer) {
      // Heads of one layer hold equally many entries here, so that one order suits them all.
      for (const int64_t length : cache.head_lengths(layer))
        ASSERT_EQ(length, cache.max_length(layer)) << name;
      std::vector<int64_t> order(static_cast<size_t>(cache.max_length(layer)));
      std::iota(order.begin(), order.end(), 0);
      std::shuffle(order.begin(), order.end(), std::mt19937(static_cast<unsigned>(3 + layer)));
      ASSERT_FALSE(std::is_sorted(order.begin(), order.end()));
      cache.permute(layer, at::tensor(order, at::kLong));
    }
    const auto a = run_alone(tiny_.language(), plain, tokens);
    const auto b = run_alone(tiny_.language(), permuted, tokens);
    for (size_t i = 0; i < tokens.size(); ++i)
      EXPECT_LE(relative_difference(b[i], a[i]), kTolerance) << name << ", step " << i;
  }
}

TEST_P(TinySequence, ARestartGivesTheFirstRunAgain) {
  const std::vector<int64_t> tokens = some_tokens(tiny_, 8, /*seed=*/4);
  for (const PresetInfo& preset : list_presets()) {
    const auto strategy = make_strategy(preset.name);
    if (!can_run(*strategy, prompt_)) continue;
    Sequence first = start(*strategy, Budget::fraction(0.4));
    Sequence second = first.restart();
    Sequence third = first.restart();
    const int64_t kept = first.cache().bytes();
    EXPECT_EQ(second.requested_slots(), first.requested_slots());
    const auto logits = run_alone(tiny_.language(), first, tokens);
    // The first run, which shared its storage with the others, has not touched theirs.
    EXPECT_EQ(second.cache().bytes(), kept) << preset.name;
    second.reserve(static_cast<int64_t>(tokens.size()));
    expect_equal_bits(run_alone(tiny_.language(), second, tokens), logits, preset.name);
    expect_equal_bits(run_alone(tiny_.language(), third, tokens), logits, preset.name);
  }
}

TEST_P(TinySequence, ForksDoNotDisturbThePromptTheyShare) {
  const std::vector<int64_t> tokens = some_tokens(tiny_, 8, /*seed=*/5);
  const auto streaming = make_strategy("streaming-llm");
  const auto elastic = make_strategy("elastic");
  const Budget budget = Budget::fraction(0.4);
  std::vector<at::Tensor> keys;
  for (int64_t i = 0; i < prompt_.cache.shape().layers; ++i)
    keys.push_back(prompt_.cache.keys(i).clone());

  const auto run = [&](const Strategy& strategy, const Budget& limit) {
    Sequence sequence = start(strategy, limit);
    return run_alone(tiny_.language(), sequence, tokens);
  };
  const auto streaming_first = run(*streaming, budget);
  const auto elastic_second = run(*elastic, budget);
  const auto full_third = run(*full_, Budget::unlimited());
  // On a prefill of its own, in the opposite order.
  prompt_ = tiny_.encode();
  expect_equal_bits(run(*full_, Budget::unlimited()), full_third, "full");
  expect_equal_bits(run(*elastic, budget), elastic_second, "elastic");
  expect_equal_bits(run(*streaming, budget), streaming_first, "streaming-llm");
  for (int64_t i = 0; i < prompt_.cache.shape().layers; ++i) {
    EXPECT_EQ(prompt_.cache.length(i), tiny_.tokens());
    EXPECT_TRUE(at::equal(prompt_.cache.keys(i).narrow(1, 0, tiny_.tokens()),
                          keys[static_cast<size_t>(i)].narrow(1, 0, tiny_.tokens())))
        << "layer " << i;
  }
}

/// What a sink-and-window cache holds, kept as plain lists: the model is given a cache built anew
/// for every token, with true positions only, so none of the code for position modes is used.
class PositionOracle {
 public:
  static constexpr int64_t kSinks = 4;

  PositionOracle(const TinyModel& tiny, PositionMode mode, int64_t kept)
      : model_(tiny.language()), mode_(mode), rotary_(rotary_of(tiny)), seen_(tiny.tokens()) {
    const int64_t tokens = tiny.tokens();
    const std::vector<int64_t> window = kept_of(tokens, kept);
    const at::Tensor slots = at::tensor(window, at::kLong);
    for (int64_t i = 0; i < model_.cache_shape().layers; ++i) {
      const std::string name = "layers." + std::to_string(i);
      keys_.push_back(
          raw_or_kept(tiny.golden.tensor(name + ".keys").index_select(1, slots), slots));
      values_.push_back(tiny.golden.tensor(name + ".values").index_select(1, slots));
    }
  }

  int64_t length() const { return keys_[0].size(1); }

  /// Logits of the next token; then all but `kept` entries go, the oldest after the sinks first.
  at::Tensor step(int64_t token, int64_t kept) {
    KVCache cache(model_.cache_shape());
    const int64_t length = this->length();
    const at::Tensor ranks = at::arange(length, at::kLong);
    for (size_t i = 0; i < keys_.size(); ++i) {
      const at::Tensor keys =
          mode_ == PositionMode::kRerotated ? rotary_.rotate(keys_[i], ranks) : keys_[i];
      cache.adopt(static_cast<int64_t>(i), keys.contiguous().clone(), values_[i].clone(),
                  /*first_position=*/0);
    }
    DecodeInput input;
    input.cache = &cache;
    input.token = token;
    input.token_index = mode_ == PositionMode::kOriginal ? seen_ : length;
    const at::Tensor logits = model_.decode({input}).logits[0];
    ++seen_;
    const at::Tensor slots = at::tensor(kept_of(length + 1, kept), at::kLong);
    for (size_t i = 0; i < keys_.size(); ++i) {
      const auto layer = static_cast<int64_t>(i);
      at::Tensor keys = cache.keys(layer).narrow(1, 0, length + 1);
      keys = mode_ == PositionMode::kRerotated
                 ? rotary_.unrotate(keys, at::arange(length + 1, at::kLong))
                 : keys;
      keys_[i] = keys.index_select(1, slots);
      values_[i] = cache.values(layer).narrow(1, 0, length + 1).index_select(1, slots);
    }
    return logits;
  }

 private:
  static RotaryTable rotary_of(const TinyModel& tiny) {
    const LlamaConfig config = LlamaConfig::read(JsonFields::read(tiny.folder / "config.json"));
    return RotaryTable(config.head_dim, config.rope, config.max_positions,
                       c10::Device(c10::DeviceType::CPU));
  }

  static std::vector<int64_t> kept_of(int64_t length, int64_t kept) {
    std::vector<int64_t> slots;
    for (int64_t i = 0; i < length; ++i) {
      if (i < kSinks || i >= length - (kept - kSinks)) slots.push_back(i);
    }
    return slots;
  }

  at::Tensor raw_or_kept(const at::Tensor& keys, const at::Tensor& positions) const {
    return mode_ == PositionMode::kRerotated ? rotary_.unrotate(keys, positions) : keys;
  }

  const LanguageModel& model_;
  PositionMode mode_;
  RotaryTable rotary_;
  int64_t seen_;
  std::vector<at::Tensor> keys_;    // per layer [kv_heads, length, head_dim]
  std::vector<at::Tensor> values_;  // likewise
};

struct ModeCase {
  const char* name;
  PositionMode mode;
};

class PositionModes : public testing::TestWithParam<std::tuple<std::string, ModeCase>> {};

INSTANTIATE_TEST_SUITE_P(
    Models, PositionModes,
    testing::Combine(testing::Values("tiny_llama_a", "tiny_llama_b"),
                     testing::Values(ModeCase{"original", PositionMode::kOriginal},
                                     ModeCase{"cache_length", PositionMode::kCacheLength},
                                     ModeCase{"rerotated", PositionMode::kRerotated})),
    [](const auto& info) { return std::get<0>(info.param) + "_" + std::get<1>(info.param).name; });

TEST_P(PositionModes, EqualACacheBuiltAnewForEveryToken) {
  const auto& [name, mode] = GetParam();
  const TinyModel tiny(name);
  const EncodedPrompt prompt = tiny.encode();
  const auto strategy = make_strategy("streaming-llm", {std::string("positions=") + mode.name});
  const std::vector<int64_t> tokens = some_tokens(tiny, 14, /*seed=*/6);
  // A cache that stays as it is, and one that grows with the text.
  for (const Budget& budget : {Budget::tokens(9), Budget::fraction(0.5)}) {
    const auto kept = [&](int64_t seen) {
      return budget.is_fraction() ? static_cast<int64_t>(std::floor(seen * 0.5)) : int64_t{9};
    };
    Sequence sequence(tiny.language(), prompt, *strategy, budget);
    PositionOracle oracle(tiny, mode.mode, kept(tiny.tokens()));
    int64_t seen = tiny.tokens();
    for (size_t i = 0; i < tokens.size(); ++i) {
      ASSERT_EQ(sequence.cache().length(0), oracle.length()) << "step " << i;
      const at::Tensor logits = decode_step(tiny.language(), {&sequence}, {tokens[i]})[0];
      ++seen;
      EXPECT_LE(relative_difference(logits, oracle.step(tokens[i], kept(seen))), kTolerance)
          << budget.name() << ", step " << i;
    }
  }
}

TEST_P(PositionModes, DifferOnceEntriesAreGone) {
  const auto& [name, mode] = GetParam();
  if (mode.mode == PositionMode::kOriginal) return;
  const TinyModel tiny(name);
  const EncodedPrompt prompt = tiny.encode();
  const auto original = make_strategy("streaming-llm", {"positions=original"});
  const auto other = make_strategy("streaming-llm", {std::string("positions=") + mode.name});
  Sequence a(tiny.language(), prompt, *original, Budget::tokens(9));
  Sequence b(tiny.language(), prompt, *other, Budget::tokens(9));
  EXPECT_GT(max_difference(decode_step(tiny.language(), {&a}, {1}),
                           decode_step(tiny.language(), {&b}, {1})),
            1e-2);
}

}  // namespace
}  // namespace elastikv
