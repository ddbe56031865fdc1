#include "report/explanation.h"

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "image/drawing.h"
#include "report/explanation_drawings.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

constexpr int64_t kTokens = 6;

/// Gives the plans that it was made with.
class Planned final : public Strategy {
 public:
  explicit Planned(std::vector<LayerPlan> plans) : plans_(std::move(plans)) {}

  StatisticsRequest needs() const override { return {}; }
  PositionMode positions() const override { return PositionMode::kOriginal; }
  std::vector<LayerPlan> compress(const PromptStatistics&, const Budget&) const override {
    return plans_;
  }
  std::vector<at::Tensor> importance(const PromptStatistics&) const override { return scores; }
  std::unique_ptr<GenerationPolicy> begin_generation(const PromptStatistics&,
                                                     const std::vector<LayerPlan>&,
                                                     const Budget&) const override {
    return nullptr;
  }
  std::string description() const override { return "planned"; }
  std::vector<std::string> parts() const override { return {}; }

  std::vector<at::Tensor> scores;

 private:
  std::vector<LayerPlan> plans_;
};

at::Tensor numbers(std::vector<int64_t> values, at::IntArrayRef shape) {
  return at::tensor(values, at::kLong).view(shape).clone();
}

/// Two layers, two KV heads of two query heads each; column sums 1, 2, 3, ... in storage order.
PromptStatistics prompt() {
  PromptStatistics prompt;
  prompt.prompt_tokens = kTokens;
  prompt.query_heads = 4;
  prompt.kv_heads = 2;
  prompt.layers.resize(2);
  for (LayerStatistics& layer : prompt.layers) {
    std::vector<float> sums;
    for (int i = 1; i <= 4 * kTokens; ++i) sums.push_back(static_cast<float>(i));
    layer.column_sums = at::tensor(sums, at::kFloat).view({4, kTokens});
  }
  return prompt;
}

LayerPlan evicting(std::vector<int64_t> kept, at::IntArrayRef shape) {
  LayerPlan plan;
  plan.kept = numbers(std::move(kept), shape);
  return plan;
}

TEST(Explain, SpellsPlansOutPerHead) {
  LayerPlan merging = evicting({0, 3, -1, 1, 4, 5}, {2, 3});
  merging.source = numbers({1, 2, 4, 5, 0, 2, 3, -1}, {2, 4});
  merging.anchor = numbers({0, 1, 1, 1, 0, 0, 1, -1}, {2, 4});
  merging.source_weight = at::tensor({1.F, 2.F, 3.F, 4.F, 5.F, 6.F, 7.F, 0.F}).view({2, 4});
  merging.anchor_weight = at::tensor({10.F, 20.F, 0.F, 30.F, 40.F, 50.F}).view({2, 3});
  const Planned strategy({evicting({5, 2, 2}, {1, 3}), merging});
  const Explanation explanation = explain("mine", strategy, prompt(), Budget::tokens(3), {0, 1});
  EXPECT_EQ(explanation.name, "mine");
  EXPECT_EQ(explanation.requested, 3);
  EXPECT_EQ(explanation.tokens, 3 + 3 + 2 + 3);
  EXPECT_EQ(explanation.bytes(/*head_dim=*/8, /*element_bytes=*/2), 11 * 8 * 2 * 2);
  ASSERT_EQ(explanation.layers.size(), 2U);

  const LayerDecision& shared = explanation.layers[0];
  EXPECT_TRUE(shared.shared);
  ASSERT_EQ(shared.heads.size(), 2U);
  EXPECT_EQ(shared.heads[0].kept, (std::vector<int64_t>{5, 2, 2}));
  EXPECT_EQ(shared.heads[1].kept, shared.heads[0].kept);
  EXPECT_TRUE(shared.heads[0].groups.empty());
  // Query heads 0 and 1 have 1..6 and 7..12; tokens 2 and 5 stay, and 2 counts once.
  EXPECT_DOUBLE_EQ(shared.heads[0].attention_lost, 1 - (3 + 6 + 9 + 12) / 78.0);
  EXPECT_DOUBLE_EQ(shared.heads[1].attention_lost, 1 - (15 + 18 + 21 + 24) / 222.0);
  EXPECT_DOUBLE_EQ(shared.attention_lost, 1 - (30 + 78) / 300.0);
  EXPECT_FALSE(shared.importance.defined());

  const LayerDecision& own = explanation.layers[1];
  EXPECT_FALSE(own.shared);
  EXPECT_EQ(own.heads[0].kept, (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(own.heads[1].kept, (std::vector<int64_t>{1, 4, 5}));
  ASSERT_EQ(own.heads[0].groups.size(), 2U);
  EXPECT_EQ(own.heads[0].groups[0].anchor, 0);
  EXPECT_EQ(own.heads[0].groups[0].sources, (std::vector<int64_t>{1}));
  EXPECT_EQ(own.heads[0].groups[1].anchor, 3);
  EXPECT_EQ(own.heads[0].groups[1].sources, (std::vector<int64_t>{2, 4, 5}));
  EXPECT_EQ(own.heads[0].groups[1].source_weight, (std::vector<float>{2, 3, 4}));
  EXPECT_EQ(own.heads[0].groups[1].anchor_weight, 20);
  ASSERT_EQ(own.heads[1].groups.size(), 2U);
  EXPECT_EQ(own.heads[1].groups[0].anchor, 1);
  EXPECT_EQ(own.heads[1].groups[0].sources, (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(own.heads[1].groups[1].anchor_weight, 40);
  EXPECT_DOUBLE_EQ(explanation.attention_lost, (shared.attention_lost + own.attention_lost) / 2);
}

TEST(Explain, UntouchedLayersLoseNothing) {
  const Planned strategy({LayerPlan(), evicting({0}, {1, 1})});
  const Explanation first = explain("x", strategy, prompt(), Budget::unlimited(), {0});
  EXPECT_EQ(first.layers[0].heads[1].kept, (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(first.attention_lost, 0);
  const Explanation second = explain("x", strategy, prompt(), Budget::tokens(1), {1});
  EXPECT_EQ(second.layers[0].layer, 1);
  EXPECT_EQ(second.tokens, 2);
}

TEST(Explain, AgreementIsTheJaccardIndexOfHeadsAndPositions) {
  const auto of = [](std::vector<LayerPlan> plans) {
    return explain("x", Planned(std::move(plans)), prompt(), Budget::tokens(2), {0, 1});
  };
  const std::vector<Explanation> all{
      of({evicting({0, 1}, {1, 2}), evicting({0, 1}, {1, 2})}),
      // Layer 0: head 0 the same, head 1 another; layer 1: nothing in common.
      of({evicting({0, 1, 2, 3}, {2, 2}), evicting({4, 5}, {1, 2})}),
      of({LayerPlan(), LayerPlan()})};
  const auto layer = kept_agreement(all, 0);
  EXPECT_DOUBLE_EQ(layer[0][1], 2.0 / 6);
  EXPECT_DOUBLE_EQ(layer[1][0], layer[0][1]);
  EXPECT_DOUBLE_EQ(layer[0][2], 4.0 / 12);
  EXPECT_EQ(layer[2][2], 1);
  EXPECT_EQ(kept_agreement(all, 1)[0][1], 0);
  EXPECT_DOUBLE_EQ(kept_agreement(all)[0][1], 1.0 / 6);
}

TEST(ExplanationImages, NeedAGridOfTokens) {
  require_grid(1, {1, 1});
  require_grid(576, {24, 24});
  require_grid(6, {2, 3});
  for (const int64_t tokens : {0, 5, 7}) {
    EXPECT_ERROR(require_grid(tokens, tokens == 0 ? ImageSize{0, 0} : ImageSize{2, 3}),
                 "the image's " + std::to_string(tokens) +
                     " tokens are no single grid, so they cannot be drawn on it; use --json");
  }
}

#ifdef ELASTIKV_WITH_IMAGES
/// How many pixels have this colour.
int64_t pixels_of(const Image& image, Colour colour) {
  int64_t count = 0;
  for (int64_t i = 0; i < image.size.pixels(); ++i) {
    const uint8_t* pixel = image.pixels.data() + i * 3;
    count += pixel[0] == colour.red && pixel[1] == colour.green && pixel[2] == colour.blue;
  }
  return count;
}

TEST(ExplanationImages, ShowKeptTokensAsTheyAre) {
  // Tokens 1 to 4 are a 2 x 2 image of one colour; each takes 108 x 108 pixels of a tile.
  ShownPrompt shown;
  constexpr Colour kBlue{10, 20, 200};
  shown.image = Image(ImageSize{8, 8});
  fill(shown.image, 0, 0, 8, 8, kBlue);
  shown.image_begin = 1;
  shown.image_end = 5;
  shown.grid = {2, 2};
  shown.prompt_tokens = kTokens;
  shown.title = "title";
  Planned strategy({evicting({1, 2, 3}, {1, 3}), evicting({0, 4, 1, 5}, {2, 2})});
  strategy.scores = {at::tensor({0.F, 1.F, 2.F, 2.F, 3.F, 9.F}).view({1, kTokens}),
                     at::tensor({0.F, 1.F, 1.F, 1.F, 1.F, 9.F}).view({1, kTokens})};
  const Explanation explanation = explain("x", strategy, prompt(), Budget::tokens(3), {0, 1});
  // The image itself and three whole tokens of layer 0; layer 1 has tokens that one head keeps.
  EXPECT_EQ(pixels_of(kept_sheet(explanation, shown), kBlue), (4 + 3) * 108 * 108);

  const Image ranks = importance_sheet(explanation, shown);
  const auto over_blue = [&](double rank) {
    const Colour map = viridis(rank);
    const double grey = std::lround(0.299 * 10 + 0.587 * 20 + 0.114 * 200);
    const auto mix = [&](uint8_t to) {
      return static_cast<uint8_t>(std::lround(grey + 0.72 * (to - grey)));
    };
    return Colour{mix(map.red), mix(map.green), mix(map.blue)};
  };
  EXPECT_EQ(pixels_of(ranks, over_blue(0)), 108 * 108);
  EXPECT_EQ(pixels_of(ranks, over_blue(1)), 108 * 108);
  // Equal scores share their place: two tokens of layer 0 and all four of layer 1.
  EXPECT_EQ(pixels_of(ranks, over_blue(0.5)), (2 + 4) * 108 * 108);
}

TEST(ExplanationImages, AgreementHasACellForEveryPair) {
  const auto of = [](std::vector<int64_t> kept) {
    const LayerPlan plan = evicting(std::move(kept), {1, 2});
    return explain("x", Planned({plan, plan}), prompt(), Budget::tokens(2), {0});
  };
  const Image sheet = agreement_sheet({of({0, 1}), of({0, 1}), of({2, 3})}, "title");
  // 56 x 56 pixels each, of which the number covers some.
  EXPECT_GT(pixels_of(sheet, viridis(1)), 5 * 56 * 56 * 8 / 10);
  EXPECT_LT(pixels_of(sheet, viridis(1)), 5 * 56 * 56);
  EXPECT_GT(pixels_of(sheet, viridis(0)), 4 * 56 * 56 * 8 / 10);
}
#endif

}  // namespace
}  // namespace elastikv
