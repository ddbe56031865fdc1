// A tiny checkpoint of every family on the emulated device against the CPU: images, prompts with
// every statistic, strategies.
#include "support/families.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/emulated_device/emulated_device.h"
#include "support/tensors.h"
#include "support/tiny_models.h"
#include "unit/emulated/compared_models.h"

namespace elastikv {
namespace {

using nlohmann::json;

// fp32 with sums taken in another order.
constexpr double kTolerance = 1e-4;

class EmulatedFamilies : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() { emulated::install(); }

  /// One family on one device, with its first prompt that is not refused.
  struct Loaded {
    explicit Loaded(const std::string& name, c10::Device device)
        : folder(families_folder() / name),
          reader(folder,
                 PromptSettings{families().at(name).at("prompt_format").get<std::string>()}),
          model(load_model(folder, device, c10::ScalarType::Float)) {
      const json one = computed_cases(families().at(name)).at(0);
      images = images_of(one);
      question = one.at("question").get<std::string>();
    }
    EncodedPrompt encode(const StatisticsRequest& request) const {
      return encode_prompt(*model, reader, reader.tokenize(question, images), images, request,
                           /*seed=*/0);
    }

    std::filesystem::path folder;
    PromptReader reader;
    std::unique_ptr<Model> model;
    std::vector<ImageFile> images;
    std::string question;
  };

  static StatisticsRequest everything() {
    StatisticsRequest request;
    request.prefill.column_sums = true;
    request.prefill.column_max = true;
    request.prefill.row_entropy = true;
    request.prefill.decays = {0.9};
    request.prefill.last_rows = 8;
    request.prefill.query_moments = {2};
    request.keys = true;
    request.values = true;
    return request;
  }

  OneThread one_thread_;
};

INSTANTIATE_TEST_SUITE_P(Emulated, EmulatedFamilies, testing::ValuesIn(family_names()),
                         [](const auto& info) { return info.param; });

TEST_P(EmulatedFamilies, PromptsAndStatisticsEqualTheCpus) {
  const EncodedPrompt there = Loaded(GetParam(), emulated::device()).encode(everything());
  const EncodedPrompt here =
      Loaded(GetParam(), c10::Device(c10::DeviceType::CPU)).encode(everything());
  EXPECT_EQ(there.logits.device(), emulated::device());
  EXPECT_LE(max_difference(there.logits.cpu(), here.logits), kTolerance);
  ASSERT_EQ(there.statistics.layers.size(), here.statistics.layers.size());
  for (size_t i = 0; i < here.statistics.layers.size(); ++i) {
    SCOPED_TRACE(fmt::format("layer {}", i));
    const LayerStatistics& a = there.statistics.layers[i];
    const LayerStatistics& b = here.statistics.layers[i];
    EXPECT_LE(max_difference(a.column_sums, b.column_sums), kTolerance);
    EXPECT_LE(max_difference(a.column_max, b.column_max), kTolerance);
    EXPECT_LE(max_difference(a.row_entropy, b.row_entropy), kTolerance);
    EXPECT_LE(max_difference(a.last_rows, b.last_rows), kTolerance);
    EXPECT_LE(max_difference(a.moving_averages.at(0.9), b.moving_averages.at(0.9)), kTolerance);
    EXPECT_LE(max_difference(a.keys, b.keys), kTolerance);
    EXPECT_LE(max_difference(a.values, b.values), kTolerance);
    EXPECT_LE(max_difference(a.query_moments.at(2).mean, b.query_moments.at(2).mean), kTolerance);
    EXPECT_LE(max_difference(a.query_moments.at(2).covariance, b.query_moments.at(2).covariance),
              10 * kTolerance);
  }
}

/// Sums of columns alone come from a kernel.
TEST_P(EmulatedFamilies, ColumnsByTheKernelEqualTheCpus) {
  StatisticsRequest columns;
  columns.prefill.column_sums = true;
  columns.prefill.column_max = true;
  const EncodedPrompt there = Loaded(GetParam(), emulated::device()).encode(columns);
  const EncodedPrompt here = Loaded(GetParam(), c10::Device(c10::DeviceType::CPU)).encode(columns);
  for (size_t i = 0; i < here.statistics.layers.size(); ++i) {
    EXPECT_LE(max_difference(there.statistics.layers[i].column_sums,
                             here.statistics.layers[i].column_sums),
              kTolerance);
    EXPECT_LE(
        max_difference(there.statistics.layers[i].column_max, here.statistics.layers[i].column_max),
        kTolerance);
  }
}

TEST_P(EmulatedFamilies, StrategiesEqualTheCpus) {
  std::vector<ComparedCell> cells{{"full", 1.0}};
  StatisticsRequest request;
  for (const char* name :
       {"elastic", "elastic-released", "elastic-plus", "h2o", "streaming-llm", "snapkv"}) {
    const StatisticsRequest needs = make_strategy(name)->needs();
    const bool images = !families().at(GetParam()).at("cases")[0].at("pictures").empty();
    if (!missing_for(needs, 1 << 20, 0, images ? 1 : 0).empty()) continue;
    request = request | needs;
    cells.push_back({name, 0.2});
    cells.push_back({name, 1.0});
  }
  const std::vector<int64_t> answer = families().at(GetParam()).at("answer_ids");
  const Loaded there(GetParam(), emulated::device());
  const Loaded here(GetParam(), c10::Device(c10::DeviceType::CPU));
  constexpr int64_t kNewTokens = 6;
  const auto results = [&](const Loaded& loaded) {
    const EncodedPrompt prompt = loaded.encode(request);
    return results_of(loaded.model->language(), prompt, cells, answer, kNewTokens);
  };
  expect_equal_results(results(there), results(here), cells);
}

}  // namespace
}  // namespace elastikv
