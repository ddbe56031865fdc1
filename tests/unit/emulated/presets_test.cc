// Every preset on the emulated device against the CPU: greedy tokens, log likelihoods in one pass
// and token by token, budget 1.0 against the full cache.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/emulated_device/emulated_device.h"
#include "support/tiny_models.h"
#include "unit/emulated/compared_models.h"

namespace elastikv {
namespace {

class EmulatedPresets : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() { emulated::install(); }
};

INSTANTIATE_TEST_SUITE_P(Emulated, EmulatedPresets, testing::ValuesIn(tiny_model_names()),
                         [](const auto& info) { return info.param; });

TEST_P(EmulatedPresets, EqualTheCpus) {
  const TinyModel there(GetParam(), emulated::device());
  const TinyModel here(GetParam());
  const EncodedPrompt there_prompt = there.encode();
  const EncodedPrompt here_prompt = here.encode();
  std::vector<ComparedCell> cells{{"full", 1.0}};
  for (const PresetInfo& preset : list_presets()) {
    if (!can_run(*make_strategy(preset.name), here_prompt)) continue;
    cells.push_back({preset.name, 0.2});
    cells.push_back({preset.name, 1.0});
  }
  EXPECT_GT(cells.size(), 30U);
  const std::vector<int64_t> answer{5, 11, 3, 60, 21, 5, 9};
  constexpr int64_t kNewTokens = 8;
  expect_equal_results(results_of(there.language(), there_prompt, cells, answer, kNewTokens),
                       results_of(here.language(), here_prompt, cells, answer, kNewTokens), cells);
}

}  // namespace
}  // namespace elastikv
