// What a decode step asks of a device: launches, copies and waits, by strategy and rows.
// $ELASTIKV_PRINT_COUNTS prints them as a table.
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/emulated_device/emulated_device.h"
#include "support/tiny_models.h"

namespace elastikv {
namespace {

constexpr int64_t kRows[] = {1, 8, 36};
const char* const kStrategies[] = {"full", "elastic", "h2o", "streaming-llm", "elastic-plus"};
constexpr int64_t kSteps = 4;

class EmulatedDecodeStep : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    emulated::install();
    tiny_.emplace("tiny_llava_a", emulated::device());
    prompt_.emplace(tiny_->encode());
  }
  static void TearDownTestSuite() {
    prompt_.reset();
    tiny_.reset();
  }

  /// Of kSteps steps in which every policy evicts, tokens fetched as greedy generation does.
  static emulated::Counters count(const char* name, int64_t rows, DecodeGraphs* graphs) {
    const LanguageModel& model = tiny_->language();
    const std::unique_ptr<Strategy> strategy = make_strategy(name);
    std::vector<Sequence> sequences;
    std::vector<Sequence*> batch;
    sequences.reserve(static_cast<size_t>(rows));
    for (int64_t r = 0; r < rows; ++r) {
      sequences.emplace_back(model, *prompt_, *strategy, Budget::fraction(0.2));
      sequences.back().reserve(kSteps + DecodeGraphs::kStepsBefore + 1);
      batch.push_back(&sequences.back());
    }
    std::vector<int64_t> tokens(batch.size(), 5);
    const auto step = [&] { tokens = greedy_step(model, batch, tokens, graphs); };
    // What happens once; the last one records a graph.
    for (int64_t i = 0; i <= DecodeGraphs::kStepsBefore; ++i) step();
    const emulated::Counters before = emulated::counted();
    for (int64_t i = 0; i < kSteps; ++i) step();
    return emulated::counted() - before;
  }

  static std::string per_step(int64_t count) {
    return fmt::format("{:g}", static_cast<double>(count) / kSteps);
  }

  static inline std::optional<TinyModel> tiny_;
  static inline std::optional<EncodedPrompt> prompt_;
};

/// Whether a policy asks for cosines of keys once it knows what goes.
bool compares_keys(const std::string& strategy) { return strategy == "elastic-plus"; }

TEST_F(EmulatedDecodeStep, IsCounted) {
  const int64_t layers = tiny_->language().cache_shape().layers;
  std::string table = fmt::format(
      "Per decode step of {} layers:\n\n"
      "| strategy | rows | launches | with graphs | copies to the device | copies to the host | "
      "waits |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
      layers);
  for (const char* name : kStrategies) {
    for (const int64_t rows : kRows) {
      const emulated::Counters counted = count(name, rows, /*graphs=*/nullptr);
      const std::unique_ptr<DecodeGraphs> graphs = DecodeGraphs::on(emulated::device());
      const emulated::Counters with_graphs = count(name, rows, graphs.get());
      table += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", name, rows,
                           per_step(counted.launches), per_step(with_graphs.launches),
                           per_step(counted.to_device_copies), per_step(counted.to_host_copies),
                           per_step(counted.synchronisations));
      // Neither grows with the rows.
      EXPECT_LE(counted.launches, kSteps * (14 * layers + 40)) << name;
      EXPECT_LE(counted.synchronisations, kSteps * (compares_keys(name) ? 2 : 1)) << name;
      // The token, at least.
      EXPECT_GE(counted.to_host_copies, kSteps) << name;
      // A graph is one launch, beside what tells the device of slots, chooses tokens, and merges.
      EXPECT_EQ(with_graphs.graphs, kSteps) << name;
      EXPECT_LE(with_graphs.launches, kSteps * (compares_keys(name) ? 7 : 5)) << name;
      EXPECT_EQ(with_graphs.synchronisations, counted.synchronisations) << name;
      EXPECT_EQ(with_graphs.to_device_copies, counted.to_device_copies) << name;
    }
  }
  if (std::getenv("ELASTIKV_PRINT_COUNTS") != nullptr) fmt::print("{}", table);
}

}  // namespace
}  // namespace elastikv
