// Options of a question against what transformers makes of them with the full cache.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "runtime/option_scores.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/tiny_models.h"

namespace elastikv {
namespace {

using nlohmann::json;

// Nats of a whole option, and of the longest, a thousand, as a share: fp32 with sums taken in
// another order.
constexpr double kTolerance = 1e-4;
constexpr double kShare = 1e-6;

std::ptrdiff_t place_of_largest(const std::vector<double>& values) {
  return std::max_element(values.begin(), values.end()) - values.begin();
}

TEST(OptionsParity, HaveTransformersLikelihoodsAndChoices) {
  const json golden = json::parse(read_file(parity_folder() / "options.json"));
  ASSERT_EQ(golden.at("cases").size(), tiny_model_names().size());
  const auto full = make_strategy("full");
  for (const json& one : golden.at("cases")) {
    const TinyModel tiny(one.at("model").get<std::string>());
    SCOPED_TRACE(tiny.name);
    const EncodedPrompt prompt = tiny.encode();
    const auto options = one.at("options").get<std::vector<std::vector<int64_t>>>();
    const auto expected = one.at("log_likelihoods").get<std::vector<double>>();
    for (const bool one_pass : {true, false}) {
      Sequence sequence(tiny.language(), prompt, *full, Budget::unlimited());
      std::vector<double> found =
          score_options(tiny.language(), c10::Device(c10::DeviceType::CPU), {&sequence}, options,
                        {.one_pass = one_pass, .on_step = {}})
              .front()
              .log_likelihoods;
      ASSERT_EQ(found.size(), expected.size());
      for (size_t o = 0; o < options.size(); ++o)
        EXPECT_NEAR(found[o], expected[o], std::max(kTolerance, kShare * std::abs(expected[o])))
            << "option " << o;
      EXPECT_EQ(place_of_largest(found), one.at("likeliest").get<std::ptrdiff_t>());
      for (size_t o = 0; o < options.size(); ++o)
        found[o] /= static_cast<double>(options[o].size());
      EXPECT_EQ(place_of_largest(found), one.at("likeliest_per_token").get<std::ptrdiff_t>());
    }
  }
}

}  // namespace
}  // namespace elastikv
