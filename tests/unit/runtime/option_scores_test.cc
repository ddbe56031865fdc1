// The options of a question, scored together behind compressed prompts, against each by itself.
#include "runtime/option_scores.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <ATen/ops/log_softmax.h>
#include <gtest/gtest.h>

#include "runtime/evaluation.h"
#include "runtime/memory.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/faulty_model.h"
#include "support/tiny_models.h"

namespace elastikv {
namespace {

// Nats of one token: linear layers over many rows, and attention in another order of summation.
constexpr double kTolerance = 1e-4;

using Options = std::vector<std::vector<int64_t>>;

class OptionScoresTest : public testing::TestWithParam<std::string> {
 protected:
  OptionScoresTest() : tiny_(GetParam()), prompt_(tiny_.encode(tiny_.tokens() - 20)) {
    const std::vector<int64_t> ids = to_ids(tiny_.ids());
    text_.assign(ids.end() - 20, ids.end());
    while (text_.size() < 80) text_.push_back(text_[text_.size() - 20]);
    // One token, which the prompt scores; several; and more than one chunk.
    for (const int64_t length : {3, 1, 7, 70, 3})
      options_.emplace_back(text_.begin() + std::ssize(options_),
                            text_.begin() + std::ssize(options_) + length);
  }

  std::vector<OptionScores> score(const std::vector<Sequence*>& sequences,
                                  const OptionScoring& scoring = {}) const {
    return score_options(tiny_.language(), c10::Device(c10::DeviceType::CPU), sequences, options_,
                         scoring);
  }

  double log_likelihood(const at::Tensor& logits, int64_t token) const {
    return at::log_softmax(logits.to(at::kDouble), -1).reshape({-1})[token].item<double>();
  }

  /// One option behind a prompt that is compressed for it alone, token by token.
  double by_itself(const Strategy& strategy, const Budget& budget,
                   const std::vector<int64_t>& option) const {
    Sequence sequence(tiny_.language(), prompt_, strategy, budget);
    double sum = log_likelihood(prompt_.logits, option.front());
    for (size_t k = 0; k + 1 < option.size(); ++k)
      sum += log_likelihood(decode_step(tiny_.language(), {&sequence}, {option[k]}), option[k + 1]);
    return sum;
  }

  TinyModel tiny_;
  EncodedPrompt prompt_;
  std::vector<int64_t> text_;
  Options options_;
};

INSTANTIATE_TEST_SUITE_P(Models, OptionScoresTest, testing::ValuesIn(tiny_model_names()),
                         [](const auto& info) { return info.param; });

TEST_P(OptionScoresTest, AreThoseOfEachOptionBehindAPromptCompressedForItAlone) {
  for (const PresetInfo& preset : list_presets()) {
    const auto strategy = make_strategy(preset.name);
    if (!can_run(*strategy, prompt_)) continue;
    const std::vector<Budget> budgets{Budget::fraction(0.3), Budget::tokens(12)};
    std::vector<Sequence> sequences;
    for (const Budget& budget : budgets)
      sequences.emplace_back(tiny_.language(), prompt_, *strategy, budget);
    const std::vector<OptionScores> together = score(pointers_to(sequences));
    for (size_t s = 0; s < sequences.size(); ++s) {
      EXPECT_EQ(together[s].failure, "") << preset.name;
      for (size_t o = 0; o < options_.size(); ++o) {
        const auto tokens = static_cast<double>(options_[o].size());
        ASSERT_NEAR(together[s].log_likelihoods[o], by_itself(*strategy, budgets[s], options_[o]),
                    kTolerance * tokens)
            << preset.name << ", cell " << s << ", option " << o;
      }
    }
  }
}

TEST_P(OptionScoresTest, AreWhatPerplexityScores) {
  const auto elastic = make_strategy("elastic");
  for (const bool one_pass : {true, false}) {
    Sequence sequence(tiny_.language(), prompt_, *elastic, Budget::fraction(0.3));
    const OptionScores scores = score({&sequence}, {.one_pass = one_pass, .on_step = {}}).front();
    for (size_t o = 0; o < options_.size(); ++o) {
      Sequence answered(tiny_.language(), prompt_, *elastic, Budget::fraction(0.3));
      double nll = 0;
      ForcedOptions options;
      options.one_pass = one_pass;
      const std::vector<ForcedScores> forced =
          teacher_force(tiny_.language(), {&answered}, options_[o], options);
      for (const double token : forced.front().nll) nll += token;
      EXPECT_NEAR(scores.log_likelihoods[o], -nll,
                  kTolerance * static_cast<double>(options_[o].size()))
          << o;
    }
    // As the longest option leaves it.
    Sequence longest(tiny_.language(), prompt_, *elastic, Budget::fraction(0.3));
    for (size_t k = 0; k + 1 < options_[3].size(); ++k)
      decode_step(tiny_.language(), {&longest}, {options_[3][k]});
    EXPECT_EQ(scores.cache_bytes_end, longest.cache().bytes());
  }
}

TEST_P(OptionScoresTest, LeaveTheSequencesAsTheyWere) {
  const auto elastic = make_strategy("elastic");
  Sequence sequence(tiny_.language(), prompt_, *elastic, Budget::fraction(0.3));
  const int64_t bytes = sequence.cache().bytes();
  const std::vector<OptionScores> once = score({&sequence});
  EXPECT_EQ(sequence.cache().bytes(), bytes);
  EXPECT_EQ(score({&sequence}).front().log_likelihoods, once.front().log_likelihoods);
}

TEST_P(OptionScoresTest, DoNotDependOnWhatRunsBesideThem) {
  const auto full = make_strategy("full");
  std::vector<std::unique_ptr<Strategy>> strategies;
  std::vector<Sequence> sequences;
  sequences.emplace_back(tiny_.language(), prompt_, *full, Budget::unlimited());
  for (const char* name : {"elastic", "h2o", "streaming-llm", "tova"}) {
    strategies.push_back(make_strategy(name));
    sequences.emplace_back(tiny_.language(), prompt_, *strategies.back(), Budget::fraction(0.3));
  }
  const std::vector<OptionScores> together = score(pointers_to(sequences));
  for (size_t s = 0; s < sequences.size(); ++s) {
    EXPECT_EQ(score({&sequences[s]}).front().log_likelihoods, together[s].log_likelihoods) << s;
    EXPECT_EQ(together[s].log_likelihoods[1], together[0].log_likelihoods[1])
        << "one token, of which the uncompressed prompt decides";
  }
}

TEST_P(OptionScoresTest, RunInPiecesWhereMemoryIsShort) {
  const auto elastic = make_strategy("elastic");
  std::vector<Sequence> sequences;
  for (const double keep : {0.2, 0.4, 0.6})
    sequences.emplace_back(tiny_.language(), prompt_, *elastic, Budget::fraction(keep));
  const std::vector<OptionScores> together = score(pointers_to(sequences));
  int64_t most = 0;
  int64_t last = -1;
  OptionScoring scoring;
  scoring.on_step = [&](int64_t done, int64_t of, int64_t rows) {
    EXPECT_EQ(of, 12) << "three prompts with four options that are run";
    EXPECT_GE(done, last);
    EXPECT_LE(done, of);
    last = done;
    most = std::max(most, rows);
  };
  score(pointers_to(sequences), scoring);
  EXPECT_EQ(most, 12);
  most = 0;
  last = -1;
  std::vector<OptionScores> pieces;
  {
    const MemoryLimit limit(int64_t{1} << 20);
    pieces = score(pointers_to(sequences), scoring);
  }
  EXPECT_LT(most, 12);
  for (size_t s = 0; s < sequences.size(); ++s)
    EXPECT_EQ(pieces[s].log_likelihoods, together[s].log_likelihoods) << s;
}

TEST_P(OptionScoresTest, TellWhatIsNotFinite) {
  const auto elastic = make_strategy("elastic");
  for (const char* fault : {"chunk-nan", "decode-nan@2"}) {
    const FaultyModel faulty(
        load_model(tiny_.folder, c10::Device(c10::DeviceType::CPU), c10::ScalarType::Float),
        Fault::parse(fault));
    std::vector<Sequence> sequences;
    for (const double keep : {0.2, 0.4})
      sequences.emplace_back(faulty.language(), prompt_, *elastic, Budget::fraction(keep));
    const std::vector<OptionScores> scores =
        score_options(faulty.language(), c10::Device(c10::DeviceType::CPU), pointers_to(sequences),
                      options_, {.one_pass = std::string(fault) == "chunk-nan", .on_step = {}});
    const auto lost = [](const OptionScores& of) {
      return std::count_if(of.log_likelihoods.begin(), of.log_likelihoods.end(),
                           [](double value) { return !std::isfinite(value); });
    };
    EXPECT_EQ(lost(scores[0]) + lost(scores[1]), 1) << fault;
    for (const OptionScores& of : scores) EXPECT_EQ(of.failure.empty(), lost(of) == 0) << fault;
  }
}

TEST_P(OptionScoresTest, EndWhereTheyAreTold) {
  struct Enough {};
  for (const char* name : {"elastic", "h2o"}) {
    const auto strategy = make_strategy(name);
    Sequence sequence(tiny_.language(), prompt_, *strategy, Budget::fraction(0.3));
    OptionScoring scoring;
    scoring.on_step = [](int64_t /*done*/, int64_t /*of*/, int64_t /*rows*/) { throw Enough(); };
    EXPECT_THROW(score({&sequence}, scoring), Enough) << name;
  }
}

}  // namespace
}  // namespace elastikv
