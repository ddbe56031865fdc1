// What a device knows of the slots of caches, through whatever becomes of them, against the CPU.
#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cache/kv_cache.h"
#include "cache/nearest_keys.h"
#include "kernels.h"
#include "kernels/activation.h"
#include "kernels/norm.h"
#include "kernels/slot_attention.h"
#include "models/decode_batch.h"
#include "strategies/key_similarity.h"
#include "support/tensors.h"

namespace elastikv {
namespace {

constexpr int64_t kLayers = 2;
constexpr int64_t kKvHeads = 2;
constexpr int64_t kGroup = 3;
constexpr int64_t kHeadDim = 32;
constexpr int64_t kPositions = 512;

/// What DecodeBatch reads of a model.
class RotaryModel final : public LanguageModel {
 public:
  explicit RotaryModel(c10::Device device)
      : rotary_(kHeadDim, RotaryRule{10000.0}, kPositions, device) {}
  CacheShape cache_shape() const override { throw InternalError("not asked"); }
  int64_t query_heads() const override { return kKvHeads * kGroup; }
  int64_t vocab_size() const override { throw InternalError("not asked"); }
  int64_t max_positions() const override { return kPositions; }
  const RotaryTable* rotary(const KVCache& /*cache*/) const override { return &rotary_; }
  at::Tensor embed(const at::Tensor& /*ids*/) const override { throw InternalError("not asked"); }
  PrefillOutput prefill(const PrefillInput& /*input*/, KVCache& /*cache*/) const override {
    throw InternalError("not asked");
  }
  DecodeOutput decode(const std::vector<DecodeInput>& /*rows*/,
                      DecodeGraphs* /*graphs*/) const override {
    throw InternalError("not asked");
  }
  at::Tensor decode_chunk(const std::vector<ChunkInput>& /*rows*/,
                          const LayerWatch& /*on_layer*/) const override {
    throw InternalError("not asked");
  }
  at::Tensor logits(const at::Tensor& /*hidden*/) const override {
    throw InternalError("not asked");
  }
  void unrotate_keys(KVCache& cache) const override { cache.unrotate_keys(rotary_); }

 private:
  RotaryTable rotary_;
};

/// Caches of several kinds over one prompt, on one device.
struct Caches {
  Caches(c10::Device device, c10::ScalarType dtype, int64_t prompt_tokens)
      : model(device), device(device), dtype(dtype), prompt(shape()) {
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      const auto entries = [&](uint64_t seed) {
        return random_tensor({kKvHeads, prompt_tokens, kHeadDim}, seed)
            .to(dtype)
            .to(device)
            .contiguous();
      };
      prompt.adopt(layer, entries(10 + static_cast<uint64_t>(layer)),
                   entries(20 + static_cast<uint64_t>(layer)), 0);
    }
    for (const PositionMode mode : {PositionMode::kOriginal, PositionMode::kRerotated,
                                    PositionMode::kOriginal, PositionMode::kOriginal}) {
      rows.push_back(prompt.fork());
      modes.push_back(mode);
      if (mode == PositionMode::kRerotated) model.unrotate_keys(rows.back());
    }
  }

  CacheShape shape() const {
    return {.layers = kLayers,
            .kv_heads = kKvHeads,
            .head_dim = kHeadDim,
            .dtype = dtype,
            .device = device};
  }

  /// One decode step: the outputs and attention rows of all layers one after another, on the CPU.
  at::Tensor step(int64_t tokens, uint64_t seed) {
    std::vector<DecodeInput> inputs;
    for (size_t r = 0; r < rows.size(); ++r) {
      DecodeInput& input = inputs.emplace_back();
      input.cache = &rows[r];
      input.token_index = tokens;
      input.positions = modes[r];
      input.weights = r != 2;
    }
    DecodeBatch batch(inputs, model, 0.2, device, dtype);
    std::vector<at::Tensor> all;
    const auto count = static_cast<int64_t>(rows.size());
    const auto layers = [&](const StepBegin& /*begin*/) {
      for (int64_t layer = 0; layer < kLayers; ++layer) {
        const at::Tensor product = random_tensor({count, kKvHeads * (kGroup + 2), kHeadDim},
                                                 seed * 100 + static_cast<uint64_t>(layer))
                                       .to(dtype)
                                       .to(device);
        all.push_back(batch
                          .attend(layer, product.narrow(1, 0, kKvHeads * kGroup),
                                  product.narrow(1, kKvHeads * kGroup, kKvHeads),
                                  product.narrow(1, kKvHeads * (kGroup + 1), kKvHeads))
                          .cpu()
                          .to(at::kFloat)
                          .flatten());
      }
      return all.back();
    };
    batch.run(layers, /*graphs=*/nullptr);
    DecodeOutput output;
    batch.give_weights(output);
    for (const std::vector<at::Tensor>& layers : output.weights) {
      for (const at::Tensor& x : layers) all.push_back(x.cpu().flatten());
    }
    return at::cat(all);
  }

  RotaryModel model;
  c10::Device device;
  c10::ScalarType dtype;
  KVCache prompt;
  std::vector<KVCache> rows;
  std::vector<PositionMode> modes;
};

std::vector<int64_t> some_of(int64_t from, int64_t count, std::mt19937& random) {
  std::vector<int64_t> all(static_cast<size_t>(from));
  std::iota(all.begin(), all.end(), 0);
  std::shuffle(all.begin(), all.end(), random);
  all.resize(static_cast<size_t>(count));
  return all;
}

/// Keeps some entries of a layer, of row 2 others in each head, of row 3 with biases.
LayerPlan prompt_plan(size_t row, int64_t tokens, std::mt19937& random) {
  LayerPlan plan;
  std::vector<at::Tensor> groups;
  for (int64_t g = 0; g < (row == 2 ? kKvHeads : 1); ++g) {
    std::vector<int64_t> kept = some_of(tokens, tokens / 2, random);
    std::sort(kept.begin(), kept.end());
    groups.push_back(at::tensor(kept, at::kLong).unsqueeze(0));
  }
  plan.kept = at::cat(groups);
  if (row == 3) plan.logit_bias = random_tensor({1, plan.kept.size(1)}, 7);
  return plan;
}

/// Two entries go from every set of slots, and join two others with weights.
StepPlan step_plan(const KVCache& cache, int64_t layer, bool joins, bool mean,
                   std::mt19937& random) {
  StepPlan plan;
  std::vector<at::Tensor> anchors;
  std::vector<at::Tensor> sources;
  for (int64_t g = 0; g < cache.groups(layer); ++g) {
    const std::vector<int64_t> chosen = some_of(cache.length(layer, g), 4, random);
    plan.evict.push_back({chosen[0], chosen[1]});
    sources.push_back(at::tensor({chosen[0], chosen[1]}, at::kLong).unsqueeze(0));
    anchors.push_back(at::tensor({chosen[2], chosen[3]}, at::kLong).unsqueeze(0));
  }
  if (!joins) return plan;
  const auto groups = static_cast<int64_t>(anchors.size());
  plan.join.kept = at::cat(anchors);
  plan.join.source = at::cat(sources);
  plan.join.anchor = at::tensor({0, 1}, at::kLong).repeat({groups, 1});
  plan.join.source_weight = at::tensor({0.5F, 0.25F}).repeat({groups, 1});
  plan.join.anchor_weight = at::tensor({1.0F, 2.0F}).repeat({groups, 1});
  plan.join.rule = mean ? LayerPlan::Rule::kMean : LayerPlan::Rule::kSum;
  plan.join.key_space = mean ? LayerPlan::KeySpace::kUnrotated : LayerPlan::KeySpace::kRotated;
  plan.join.merge_keys = mean;
  return plan;
}

/// What happens to caches while a text is generated, the same on every device.
class SlotHistory : public testing::TestWithParam<std::tuple<c10::ScalarType, bool, bool>> {
 protected:
  void SetUp() override { skip_without_gpu(); }

  static std::vector<at::Tensor> history(c10::Device device, c10::ScalarType dtype, bool compressed,
                                         bool reserved) {
    constexpr int64_t kPrompt = 150;
    Caches caches(device, dtype, kPrompt);
    std::mt19937 random(3);
    for (size_t r = 0; r < caches.rows.size() && compressed; ++r) {
      for (int64_t layer = 0; layer < kLayers; ++layer)
        caches.rows[r].apply(layer, prompt_plan(r, kPrompt, random));
    }
    if (reserved) {
      for (KVCache& cache : caches.rows) cache.reserve(Room{12, 12});
    }
    std::vector<at::Tensor> seen;
    for (int64_t t = 0; t < 12; ++t) {
      seen.push_back(caches.step(kPrompt + t, static_cast<uint64_t>(t)));
      SlotJoins joins;
      for (size_t r = 0; r < caches.rows.size() && t % 3 != 0; ++r) {
        KVCache& cache = caches.rows[r];
        for (int64_t layer = 0; layer < kLayers; ++layer) {
          const StepPlan plan = step_plan(cache, layer, t % 2 == 0, t % 4 == 0, random);
          cache.apply(layer, plan, caches.model.rotary(cache), &joins);
        }
      }
      joins.run();
      // A cache that is chosen anew, and one whose fork goes on in its place.
      if (t == 7) caches.rows[0].apply(0, prompt_plan(0, caches.rows[0].length(0), random));
      if (t == 9) caches.rows[1] = caches.rows[1].fork();
    }
    for (const KVCache& cache : caches.rows) {
      for (int64_t layer = 0; layer < kLayers; ++layer) {
        for (int64_t head = 0; head < kKvHeads; ++head) {
          seen.push_back(cache.head_keys(layer, head).cpu());
          seen.push_back(cache.head_values(layer, head).cpu());
        }
      }
    }
    return seen;
  }
};

TEST_P(SlotHistory, IsTheCpus) {
  const auto [dtype, compressed, reserved] = GetParam();
  const std::vector<at::Tensor> expected = history(c10::kCPU, dtype, compressed, reserved);
  const std::vector<at::Tensor> seen = history(kDevice, dtype, compressed, reserved);
  ASSERT_EQ(seen.size(), expected.size());
  const double limit = dtype == at::kFloat ? 2e-5 : 5e-2;
  for (size_t i = 0; i < seen.size(); ++i)
    EXPECT_LE(max_difference(seen[i], expected[i]), limit) << "step or entries " << i;
}

INSTANTIATE_TEST_SUITE_P(Kinds, SlotHistory,
                         testing::Combine(testing::Values(at::kFloat, at::kBFloat16),
                                          testing::Bool(), testing::Bool()));

class Slots : public CudaKernels {};

TEST_F(Slots, NearestKeysAreThoseOfTheCpu) {
  for (const c10::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    Caches caches(kDevice, dtype, 90);
    caches.step(90, 1);  // tells the device of the slots
    KVCache& cache = caches.rows[0];
    CacheQuestions asked{&cache, {}};
    asked.questions.push_back({.layer = 1, .group = 1, .sources = {4, 90}, .excluded = {4, 90, 7}});
    asked.questions.push_back({.layer = 0, .all_heads = true, .sources = {0}, .excluded = {0}});
    const std::vector<std::vector<NearestSlots>> answers = nearest_keys({asked});
    ASSERT_EQ(answers.size(), 1U);
    ASSERT_EQ(answers[0].size(), 2U);
    for (size_t q = 0; q < 2; ++q) {
      const NearestQuestion& question = asked.questions[q];
      const at::Tensor rows =
          question.all_heads ? group_keys(cache.keys(question.layer).cpu(), 1, 0)
                             : cache.head_keys(question.layer, question.group).cpu().to(at::kFloat);
      std::vector<int64_t> targets;
      for (int64_t slot = 0; slot < cache.length(question.layer); ++slot) {
        if (std::find(question.excluded.begin(), question.excluded.end(), slot) ==
            question.excluded.end())
          targets.push_back(slot);
      }
      const MostSimilar expected =
          most_similar(rows_at(rows, question.sources), rows_at(rows, targets));
      for (size_t i = 0; i < question.sources.size(); ++i) {
        EXPECT_EQ(answers[0][q].slots[i], targets[static_cast<size_t>(expected.target[i])]);
        EXPECT_NEAR(answers[0][q].cosines[i], expected.cosine[i], 1e-6);
      }
    }
  }
}

TEST_F(Slots, AKeyWithoutDirectionIsLikeNone) {
  KVCache prompt({.layers = 1,
                  .kv_heads = kKvHeads,
                  .head_dim = kHeadDim,
                  .dtype = at::kFloat,
                  .device = kDevice});
  at::Tensor keys = random_tensor({kKvHeads, 5, kHeadDim}, 3);
  keys.select(1, 2).zero_();
  keys = on_device(keys);
  prompt.adopt(0, keys, keys.clone(), 0);
  KVCache cache = prompt.fork();
  const RotaryModel model(kDevice);
  DecodeInput input;
  input.cache = &cache;
  input.token_index = 5;
  const DecodeBatch told({input}, model, 1, kDevice, at::kFloat);
  const CacheQuestions asked{&cache,
                             {{.layer = 0, .group = 0, .sources = {2}, .excluded = {2, 0, 5}}}};
  const NearestSlots answer = nearest_keys({asked})[0][0];
  EXPECT_EQ(answer.slots[0], 1);
  EXPECT_EQ(answer.cosines[0], 0);
}

TEST_F(Slots, NormsAndGatesAreTheOperators) {
  for (const c10::ScalarType dtype : {at::kFloat, at::kHalf, at::kBFloat16}) {
    const double limit = dtype == at::kFloat ? 1e-6 : 1e-2;
    const at::Tensor x = random_tensor({7, 6, 40}, 1).to(dtype);
    const at::Tensor weight = random_tensor({40}, 2).to(dtype);
    for (const at::Tensor& part : {x, x.narrow(1, 1, 3), x.flatten(0, 1)}) {
      const at::Tensor on =
          on_device(x).as_strided(part.sizes(), part.strides(), part.storage_offset());
      EXPECT_LE(max_difference(rms_norm(on, on_device(weight), 1e-5).cpu(),
                               reference::rms_norm(part, weight, 1e-5)),
                limit);
      EXPECT_LE(max_difference(gated_silu(on).cpu(), reference::gated_silu(part)), limit);
    }
  }
}

}  // namespace
}  // namespace elastikv
