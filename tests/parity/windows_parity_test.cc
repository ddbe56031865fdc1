// Windows of tokens against what transformers makes of `tokenizer(text)`: ids and likelihoods.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "datasets/dataset.h"
#include "models/registry.h"
#include "runtime/evaluation.h"
#include "runtime/prompt_encoder.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/temporary_folder.h"
#include "support/tiny_models.h"

namespace elastikv {
namespace {

using nlohmann::json;

// fp32 with sums taken in another order.
constexpr double kTolerance = 1e-4;

const json& golden() {
  static const json all = json::parse(read_file(parity_folder() / "windows.json"));
  return all;
}

/// The one window that a text's ids fill.
Sample window_of(const json& one) {
  const TemporaryFolder folder;
  DataOptions options;
  options.path = folder.write("text.txt", golden().at("text").get<std::string>());
  const auto ids = one.at("ids").get<std::vector<int64_t>>();
  const int64_t prompt = golden().at("prompt_tokens");
  options.tokens = TokenWindows{prompt, static_cast<int64_t>(ids.size()) - prompt};
  const std::unique_ptr<Tokenizer> tokenizer =
      load_tokenizer(parity_folder() / "families" / one.at("model").get<std::string>());
  const DataSet data = read_data(options, /*check_image=*/{}, tokenizer.get());
  EXPECT_EQ(data.samples.size(), 1U);
  return data.samples.front();
}

TEST(WindowsParity, AreTheIdsOfTheText) {
  ASSERT_EQ(golden().at("windows").size(), 4U);
  for (const json& one : golden().at("windows")) {
    SCOPED_TRACE(one.at("model").get<std::string>());
    const Sample sample = window_of(one);
    std::vector<int64_t> ids = sample.prompt_ids;
    ids.insert(ids.end(), sample.answer_ids.begin(), sample.answer_ids.end());
    EXPECT_EQ(ids, one.at("ids").get<std::vector<int64_t>>());
  }
}

/// `inspect` and `generate` write a text without a template by the same rule.
TEST(WindowsParity, BeginAsPromptsDo) {
  for (const json& one : golden().at("windows")) {
    SCOPED_TRACE(one.at("model").get<std::string>());
    const PromptReader reader(parity_folder() / "families" / one.at("model").get<std::string>(),
                              PromptSettings{"plain"});
    EXPECT_EQ(reader.tokenize(golden().at("text").get<std::string>(), std::vector<ImageFile>{}).ids,
              one.at("ids").get<std::vector<int64_t>>());
  }
}

TEST(WindowsParity, Perplexity) {
  const OneThread one_thread;
  const auto full = make_strategy("full");
  size_t compared = 0;
  for (const json& one : golden().at("windows")) {
    if (!one.contains("nll")) continue;
    SCOPED_TRACE(one.at("model").get<std::string>());
    const std::unique_ptr<Model> model =
        load_model(parity_folder() / "families" / one.at("model").get<std::string>(),
                   c10::Device(c10::DeviceType::CPU), c10::ScalarType::Float);
    const Sample sample = window_of(one);
    const EncodedPrompt prompt =
        encode_ids(*model, sample.prompt_ids, StatisticsRequest(), /*seed=*/0);
    Sequence sequence(model->language(), prompt, *full, Budget::unlimited());
    const std::vector<double> nll =
        teacher_force(model->language(), {&sequence}, sample.answer_ids, ForcedOptions())[0].nll;
    const auto expected = one.at("nll").get<std::vector<double>>();
    ASSERT_EQ(nll.size(), expected.size());
    for (size_t i = 0; i < nll.size(); ++i) EXPECT_NEAR(nll[i], expected[i], kTolerance) << i;
    ++compared;
  }
  EXPECT_EQ(compared, 3U);
}

}  // namespace
}  // namespace elastikv
