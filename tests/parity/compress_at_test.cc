// Caches that are compressed before their question: kept sets and greedy answers against kvpress's
// text-generation pipeline (data/kvpress_pipeline.*, made by make_kvpress_pipeline_golden.py) and
// against transformers with a cache that was cut by hand behind a picture (data/compress_at.json,
// made by make_compress_at_golden.py).
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/expand.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "models/registry.h"
#include "runtime/generation.h"
#include "runtime/prompt_encoder.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/paths.h"
#include "support/tiny_models.h"
#include "weights/safetensors.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

Json cases_of(const char* file) {
  std::ifstream text(parity_folder() / file);
  return Json::parse(text).at("cases");
}

/// Keeps what it is told, and evicts nothing later.
class Planned final : public Strategy {
 public:
  Planned(std::vector<LayerPlan> plans, PositionMode positions)
      : plans_(std::move(plans)), positions_(positions) {}

  StatisticsRequest needs() const override { return {}; }
  PositionMode positions() const override { return positions_; }
  std::vector<LayerPlan> compress(const PromptStatistics&, const Budget&) const override {
    return plans_;
  }
  std::vector<at::Tensor> importance(const PromptStatistics&) const override { return {}; }
  std::unique_ptr<GenerationPolicy> begin_generation(const PromptStatistics&,
                                                     const std::vector<LayerPlan>&,
                                                     const Budget&) const override {
    return nullptr;
  }
  std::string description() const override { return "planned"; }
  std::vector<std::string> parts() const override { return {}; }

 private:
  std::vector<LayerPlan> plans_;
  PositionMode positions_;
};

/// Greedy tokens after a question that goes through what a strategy keeps of a prompt. `tokens` is
/// how many; a budget below the prompt's tokens makes the strategy's positions count.
std::vector<int64_t> answer(const LanguageModel& model, const EncodedPrompt& prompt,
                            const Strategy& strategy, std::vector<int64_t> question,
                            size_t tokens) {
  Sequence sequence(model, prompt, strategy, Budget::tokens(1), {std::move(question), true});
  sequence.reserve(static_cast<int64_t>(tokens));
  GreedyOptions options;
  options.max_new_tokens = static_cast<int64_t>(tokens);
  return generate_greedy(model, {&sequence}, options)[0].token_ids;
}

std::string as_test_name(std::string name) {
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '.' || c == '-'; }, '_');
  return name;
}

std::vector<std::string> names_of(const char* file) {
  std::vector<std::string> names;
  for (const Json& item : cases_of(file)) names.push_back(item.at("name"));
  return names;
}

Json case_of(const char* file, const std::string& name) {
  for (const Json& item : cases_of(file)) {
    if (item.at("name") == name) return item;
  }
  return {};
}

/// The slots that a plan keeps in a head.
std::vector<int64_t> kept_of(const at::Tensor& kept, int64_t head) {
  const int64_t row = kept.size(0) == 1 ? 0 : head;
  const int64_t* slot = kept.const_data_ptr<int64_t>() + row * kept.size(1);
  std::vector<int64_t> slots;
  for (int64_t i = 0; i < kept.size(1) && slot[i] >= 0; ++i) slots.push_back(slot[i]);
  return slots;
}

/// Those whose bits are set.
std::vector<int64_t> kept_of(const at::Tensor& bits, int64_t layer, int64_t head, int64_t tokens) {
  const auto* packed =
      bits.const_data_ptr<uint8_t>() + (layer * bits.size(1) + head) * bits.size(2);
  std::vector<int64_t> slots;
  for (int64_t n = 0; n < tokens; ++n) {
    if (((packed[n / 8] >> (7 - n % 8)) & 1) != 0) slots.push_back(n);
  }
  return slots;
}

/// Whether two choices differ by nothing but which of several equal tokens they take: in the first
/// layer their keys are equally long, so that rounding decides.
bool same_tokens(const std::vector<int64_t>& ours, const std::vector<int64_t>& theirs,
                 const std::vector<int64_t>& context) {
  const auto sorted_tokens = [&](const std::vector<int64_t>& slots) {
    std::vector<int64_t> tokens;
    for (const int64_t slot : slots) tokens.push_back(context[static_cast<size_t>(slot)]);
    std::sort(tokens.begin(), tokens.end());
    return tokens;
  };
  return sorted_tokens(ours) == sorted_tokens(theirs);
}

/// Heads may keep different numbers of entries.
LayerPlan plan_of(const std::vector<std::vector<int64_t>>& heads) {
  size_t longest = 0;
  for (const auto& kept : heads) longest = std::max(longest, kept.size());
  std::vector<at::Tensor> rows;
  for (std::vector<int64_t> kept : heads) {
    kept.resize(longest, -1);
    rows.push_back(at::tensor(kept, at::kLong).unsqueeze(0));
  }
  LayerPlan plan;
  plan.kept = at::cat(rows);
  return plan;
}

constexpr const char* kPipeline = "kvpress_pipeline.json";

class CompressAtKvpress : public testing::TestWithParam<std::string> {
 protected:
  CompressAtKvpress() : golden_(case_of(kPipeline, GetParam())) {}

  SafetensorsFile tensors() const {
    return SafetensorsFile(parity_folder() / "kvpress_pipeline.safetensors");
  }

  OneThread one_thread_;
  Json golden_;
};

INSTANTIATE_TEST_SUITE_P(Presses, CompressAtKvpress, testing::ValuesIn(names_of(kPipeline)),
                         [](const auto& info) { return as_test_name(info.param); });

TEST_P(CompressAtKvpress, KeepsTheSameOfAContextAndAnswersTheSameQuestions) {
  const auto strategy = make_strategy(golden_.at("preset").get<std::string>(),
                                      golden_.at("overrides").get<std::vector<std::string>>());
  const auto model =
      load_model(source_path(golden_.at("model").get<std::string>()), at::kCPU, at::kFloat);
  const std::vector<int64_t> context =
      to_ids(tensors().tensor(golden_.at("context").get<std::string>()));
  const EncodedPrompt prompt = encode_ids(*model, context, strategy->needs(), /*seed=*/0);
  const at::Tensor bits = tensors().tensor(GetParam());
  const std::vector<int64_t> slots = golden_.at("slots");
  ASSERT_EQ(slots.size(), prompt.statistics.layers.size());
  // A layer's own number of slots is the press's business; which entries take them is compared.
  std::vector<LayerPlan> plans;
  std::map<int64_t, std::vector<LayerPlan>> by_slots;
  for (size_t layer = 0; layer < slots.size(); ++layer) {
    auto& made = by_slots[slots[layer]];
    if (made.empty()) made = strategy->compress(prompt.statistics, Budget::tokens(slots[layer]));
    std::vector<std::vector<int64_t>> theirs;
    for (int64_t head = 0; head < prompt.statistics.kv_heads; ++head) {
      const std::vector<int64_t> ours = kept_of(made[layer].kept, head);
      theirs.push_back(kept_of(bits, static_cast<int64_t>(layer), head, std::ssize(context)));
      if (layer == 0 && same_tokens(ours, theirs.back(), context)) continue;
      ASSERT_EQ(ours, theirs.back()) << "layer " << layer << ", head " << head;
    }
    plans.push_back(plan_of(theirs));
  }
  const Planned planned(plans, PositionMode::kOriginal);
  const Json& questions = golden_.at("questions");
  for (size_t i = 0; i < questions.size(); ++i) {
    if (golden_.at("answers")[i].is_null()) continue;  // kvpress could not ask it
    const std::vector<int64_t> theirs = golden_.at("answers")[i];
    EXPECT_EQ(answer(model->language(), prompt, planned, questions[i], theirs.size()), theirs)
        << "question " << i;
  }
}

constexpr const char* kByHand = "compress_at.json";

class CompressAtByHand : public testing::TestWithParam<std::string> {
 protected:
  CompressAtByHand()
      : golden_(case_of(kByHand, GetParam())),
        tiny_(golden_.at("model").get<std::string>()),
        prompt_(tiny_.encode(golden_.at("prefilled").get<int64_t>())) {}

  /// What the case keeps, as plans.
  std::vector<LayerPlan> plans() const {
    std::vector<LayerPlan> plans;
    for (const Json& layer : golden_.at("kept")) {
      plans.push_back(plan_of(layer.get<std::vector<std::vector<int64_t>>>()));
    }
    return plans;
  }

  Json golden_;
  TinyModel tiny_;
  EncodedPrompt prompt_;
};

INSTANTIATE_TEST_SUITE_P(Caches, CompressAtByHand, testing::ValuesIn(names_of(kByHand)),
                         [](const auto& info) { return as_test_name(info.param); });

/// The cases whose entries are chosen by a rule, which is a strategy's.
std::vector<std::string> names_of_rules() {
  std::vector<std::string> names;
  for (const Json& item : cases_of(kByHand)) {
    const std::string strategy = item.at("strategy");
    if (strategy != "full" && strategy != "random") names.push_back(item.at("name"));
  }
  return names;
}

class CompressAtByRule : public CompressAtByHand {};

INSTANTIATE_TEST_SUITE_P(Caches, CompressAtByRule, testing::ValuesIn(names_of_rules()),
                         [](const auto& info) { return as_test_name(info.param); });

TEST_P(CompressAtByRule, StrategiesKeepTheSame) {
  const std::string name = golden_.at("strategy");
  const auto strategy = name == "elastic-evict" ? make_strategy("elastic", {"compaction=evict"})
                                                : make_strategy(name);
  const std::vector<LayerPlan> ours =
      strategy->compress(prompt_.statistics, Budget::tokens(golden_.at("slots").get<int64_t>()));
  const std::vector<LayerPlan> theirs = plans();
  ASSERT_EQ(ours.size(), theirs.size());
  for (size_t layer = 0; layer < ours.size(); ++layer) {
    const at::Tensor kept = ours[layer].kept.expand(theirs[layer].kept.sizes());
    EXPECT_TRUE(kept.equal(theirs[layer].kept))
        << "layer " << layer << ": " << kept << " instead of " << theirs[layer].kept;
  }
}

TEST_P(CompressAtByHand, AnswersAreTransformersOwn) {
  const bool ranks = golden_.at("strategy") == "streaming-llm";
  const Planned planned(plans(), ranks ? PositionMode::kRerotated : PositionMode::kOriginal);
  const Json& questions = golden_.at("questions");
  for (size_t i = 0; i < questions.size(); ++i) {
    const std::vector<int64_t> theirs = golden_.at("answers")[i];
    EXPECT_EQ(answer(tiny_.language(), prompt_, planned, questions[i], theirs.size()), theirs)
        << "question " << i;
  }
}

}  // namespace
}  // namespace elastikv
