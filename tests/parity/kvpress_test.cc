// Kept sets against those of kvpress 0.5.4 (data/kvpress.*, made by make_kvpress_golden.py), where
// it does what the papers say, and with the overrides that each case names where it does not.
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "models/registry.h"
#include "runtime/prompt_encoder.h"
#include "strategies/registry.h"
#include "support/paths.h"
#include "weights/safetensors.h"

namespace elastikv {
namespace {

struct Case {
  std::string name;
  std::string model;
  std::string prompt;
  std::string preset;
  std::vector<std::string> overrides;
  std::vector<int64_t> slots;  // per layer
};

void PrintTo(const Case& golden, std::ostream* out) { *out << golden.name; }

std::filesystem::path data() { return source_path("tests/parity/data"); }

std::vector<Case> cases() {
  std::ifstream file(data() / "kvpress.json");
  std::vector<Case> all;
  const nlohmann::json golden = nlohmann::json::parse(file);
  for (const auto& item : golden.at("cases")) {
    all.push_back({item.at("name"), item.at("model"), item.at("prompt"), item.at("preset"),
                   item.at("overrides"), item.at("slots")});
  }
  return all;
}

/// A prompt with the statistics of every strategy that is compared.
const PromptStatistics& statistics_of(const Case& golden) {
  static std::map<std::string, EncodedPrompt> prompts;
  const auto known = prompts.find(golden.prompt);
  if (known != prompts.end()) return known->second.statistics;
  const std::filesystem::path folder = std::filesystem::path(source_path()) / golden.model;
  const auto model = load_model(folder, at::kCPU, at::kFloat);
  const at::Tensor ids = SafetensorsFile(data() / "kvpress.safetensors").tensor(golden.prompt);
  const std::vector<int64_t> prompt(ids.const_data_ptr<int64_t>(),
                                    ids.const_data_ptr<int64_t>() + ids.numel());
  StatisticsRequest request;
  for (const Case& other : cases()) {
    request = request | make_strategy(other.preset, other.overrides)->needs();
  }
  return prompts.emplace(golden.prompt, encode_ids(*model, prompt, request, /*seed=*/0))
      .first->second.statistics;
}

class KvpressParity : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(Presses, KvpressParity, testing::ValuesIn(cases()), [](const auto& info) {
  std::string name = info.param.name;
  for (char& c : name) {
    if (c == '.') c = '_';
  }
  return name;
});

TEST_P(KvpressParity, KeepsTheSameEntries) {
  const Case& golden = GetParam();
  const PromptStatistics& prompt = statistics_of(golden);
  const auto strategy = make_strategy(golden.preset, golden.overrides);
  const at::Tensor bits = SafetensorsFile(data() / "kvpress.safetensors").tensor(golden.name);
  ASSERT_EQ(bits.size(0), static_cast<int64_t>(prompt.layers.size()));
  std::map<int64_t, std::vector<LayerPlan>> by_slots;
  int64_t different = 0;
  for (int64_t layer = 0; layer < bits.size(0); ++layer) {
    const int64_t slots = golden.slots[static_cast<size_t>(layer)];
    auto& plans = by_slots[slots];
    if (plans.empty()) plans = strategy->compress(prompt, Budget::tokens(slots));
    const at::Tensor& kept = plans[static_cast<size_t>(layer)].kept;
    for (int64_t head = 0; head < prompt.kv_heads; ++head) {
      std::vector<bool> ours(static_cast<size_t>(prompt.prompt_tokens), false);
      const int64_t row = kept.size(0) == 1 ? 0 : head;
      const int64_t* slot = kept.const_data_ptr<int64_t>() + row * kept.size(1);
      for (int64_t i = 0; i < kept.size(1) && slot[i] >= 0; ++i) {
        ours[static_cast<size_t>(slot[i])] = true;
      }
      const auto* packed =
          bits.const_data_ptr<uint8_t>() + (layer * prompt.kv_heads + head) * bits.size(2);
      for (int64_t n = 0; n < prompt.prompt_tokens; ++n) {
        const bool theirs = ((packed[n / 8] >> (7 - n % 8)) & 1) != 0;
        if (theirs != ours[static_cast<size_t>(n)]) {
          ++different;
          ADD_FAILURE() << "layer " << layer << " head " << head << " token " << n << ": kvpress "
                        << (theirs ? "keeps" : "drops") << " it";
          if (different > 8) return;
        }
      }
    }
  }
}

}  // namespace
}  // namespace elastikv
