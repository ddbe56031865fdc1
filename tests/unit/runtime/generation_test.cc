// Teacher forcing and greedy generation against loops and single passes written out here.
#include "runtime/generation.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "runtime/evaluation.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/tensors.h"
#include "support/tiny_models.h"

namespace elastikv {
namespace {

class Evaluation : public testing::TestWithParam<std::string> {
 protected:
  Evaluation() : tiny_(GetParam()), prompt_(tiny_.encode()), full_(make_strategy("full")) {}

  Sequence full() const { return Sequence(tiny_.language(), prompt_, *full_, Budget::unlimited()); }
  const LanguageModel& language() const { return tiny_.language(); }

  /// f32 [answer, vocab]: the distributions over each answer token, by one pass over prompt and
  /// answer.
  at::Tensor log_probabilities(const std::vector<int64_t>& answer) const {
    PrefillInput input;
    input.embeddings =
        at::cat({tiny_.embeddings(), language().embed(at::tensor(answer, at::kLong))});
    input.all_logits = true;
    KVCache cache(language().cache_shape());
    const at::Tensor logits = language().prefill(input, cache).logits;
    return at::log_softmax(
        logits.narrow(0, tiny_.tokens() - 1, static_cast<int64_t>(answer.size())), -1);
  }

  TinyModel tiny_;
  EncodedPrompt prompt_;
  std::unique_ptr<Strategy> full_;
  const std::vector<int64_t> answer_{5, 11, 3, 60, 21, 5, 9, 33, 2};
};

INSTANTIATE_TEST_SUITE_P(Models, Evaluation, testing::ValuesIn(tiny_model_names()),
                         [](const auto& info) { return info.param; });

TEST_P(Evaluation, TeacherForcingEqualsOnePassOverTheAnswer) {
  const at::Tensor log_p = log_probabilities(answer_);
  Sequence sequence = full();
  const auto scores = teacher_force(language(), {&sequence}, answer_, ForcedOptions());
  ASSERT_EQ(scores.size(), 1U);
  ASSERT_EQ(scores[0].nll.size(), answer_.size());
  for (size_t k = 0; k < answer_.size(); ++k) {
    EXPECT_NEAR(scores[0].nll[k], -log_p[static_cast<int64_t>(k)][answer_[k]].item<double>(), 1e-4)
        << "token " << k;
  }
  EXPECT_EQ(scores[0].mean_kl, 0.0);
  // The last token is scored, never fed.
  EXPECT_EQ(sequence.tokens_seen(), tiny_.tokens() + static_cast<int64_t>(answer_.size()) - 1);
}

TEST_P(Evaluation, WithoutTheLastTokenOnlyThatIsMissing) {
  Sequence all = full();
  Sequence but_last = full();
  const auto with = teacher_force(language(), {&all}, answer_, ForcedOptions());
  ForcedOptions options;
  options.score_last_token = false;
  const auto without = teacher_force(language(), {&but_last}, answer_, options);
  std::vector<double> expected = with[0].nll;
  expected.pop_back();
  EXPECT_EQ(without[0].nll, expected);
}

TEST_P(Evaluation, OneTokenAnswers) {
  const std::vector<int64_t> answer{answer_[0]};
  Sequence reference = full();
  Sequence sequence = full();
  const auto scores = teacher_force(language(), {&reference, &sequence}, answer, ForcedOptions());
  ASSERT_EQ(scores[1].nll.size(), 1U);
  EXPECT_FLOAT_EQ(static_cast<float>(scores[1].nll[0]),
                  -at::log_softmax(prompt_.logits, -1)[answer[0]].item<float>());
  EXPECT_FALSE(scores[1].mean_kl) << "nothing was compared with the full cache";
  ForcedOptions options;
  options.score_last_token = false;
  Sequence third = full();
  const auto none = teacher_force(language(), {&third}, answer, options);
  EXPECT_TRUE(none[0].nll.empty());
  EXPECT_FALSE(none[0].mean_kl);
}

TEST_P(Evaluation, DivergenceAndScoresOfAStrategyEqualALoop) {
  const auto elastic = make_strategy("elastic");
  const Budget budget = Budget::fraction(0.4);
  Sequence reference = full();
  Sequence compressed(language(), prompt_, *elastic, budget);
  const auto scores =
      teacher_force(language(), {&reference, &compressed}, answer_, ForcedOptions());

  const at::Tensor full_log_p = log_probabilities(answer_).to(at::kDouble);
  Sequence sequence(language(), prompt_, *elastic, budget);
  double divergence = 0;
  for (size_t k = 1; k < answer_.size(); ++k) {
    const at::Tensor logits = decode_step(language(), {&sequence}, {answer_[k - 1]})[0];
    const at::Tensor log_q = at::log_softmax(logits.to(at::kDouble), -1);
    EXPECT_NEAR(scores[1].nll[k], -log_q[answer_[k]].item<double>(), 1e-4) << "token " << k;
    const at::Tensor log_p = full_log_p[static_cast<int64_t>(k)];
    divergence += (log_p.exp() * (log_p - log_q)).sum().item<double>();
  }
  const double mean = divergence / static_cast<double>(answer_.size() - 1);
  EXPECT_GT(mean, 1e-4);
  EXPECT_NEAR(scores[1].mean_kl.value(), mean, 1e-4 * std::max(1.0, mean));
  EXPECT_EQ(scores[1].nll[0], scores[0].nll[0]);
}

TEST_P(Evaluation, WhoWatchesEndsScoringBetweenSteps) {
  struct Enough {};
  ForcedOptions options;
  options.one_pass = false;
  options.on_step = [&](int64_t done, int64_t of, int64_t rows) {
    EXPECT_EQ(of, static_cast<int64_t>(answer_.size()) - 1);
    EXPECT_EQ(rows, 1);
    if (done == 2) throw Enough();
  };
  Sequence sequence = full();
  EXPECT_THROW(teacher_force(language(), {&sequence}, answer_, options), Enough);
  EXPECT_EQ(sequence.tokens_seen(), tiny_.tokens() + 2);
}

TEST_P(Evaluation, GenerationEndsAtItsLimit) {
  const std::vector<int64_t> golden = to_ids(tiny_.golden.tensor("greedy_tokens"));
  for (const int64_t limit : {0, 1, 2, 7}) {
    Sequence sequence = full();
    GreedyOptions options;
    options.max_new_tokens = limit;
    const auto texts = generate_greedy(language(), {&sequence}, options);
    EXPECT_EQ(texts[0].token_ids, std::vector<int64_t>(golden.begin(), golden.begin() + limit));
    EXPECT_FALSE(texts[0].finished);
  }
}

TEST_P(Evaluation, GenerationEndsAtEndTokens) {
  const std::vector<int64_t> golden = to_ids(tiny_.golden.tensor("greedy_tokens"));
  for (const size_t place : {size_t{0}, size_t{3}, size_t{9}}) {
    // Where that token comes for the first time; any of several end tokens ends the text.
    const auto first = std::find(golden.begin(), golden.end(), golden[place]);
    const std::vector<int64_t> expected(golden.begin(), first);
    const int64_t absent = language().vocab_size() - 1;
    ASSERT_EQ(std::count(golden.begin(), golden.end(), absent), 0);
    Sequence sequence = full();
    GreedyOptions options;
    options.max_new_tokens = 24;
    options.end_tokens = {absent, golden[place]};
    std::vector<int64_t> told;
    options.on_token = [&](size_t index, int64_t token) {
      EXPECT_EQ(index, 0U);
      told.push_back(token);
    };
    const auto texts = generate_greedy(language(), {&sequence}, options);
    EXPECT_EQ(texts[0].token_ids, expected);
    EXPECT_TRUE(texts[0].finished);
    EXPECT_EQ(told, expected);
  }
}

TEST_P(Evaluation, StoppingKeepsWhatThereIs) {
  const std::vector<int64_t> golden = to_ids(tiny_.golden.tensor("greedy_tokens"));
  int64_t asked = 0;
  GreedyOptions options;
  options.max_new_tokens = 24;
  options.should_stop = [&] { return ++asked == 4; };
  Sequence sequence = full();
  const auto texts = generate_greedy(language(), {&sequence}, options);
  EXPECT_EQ(texts[0].token_ids, std::vector<int64_t>(golden.begin(), golden.begin() + 4));
  EXPECT_FALSE(texts[0].finished);
}

TEST_P(Evaluation, RowsThatLeaveDoNotChangeTheOthers) {
  const std::vector<std::pair<const char*, Budget>> cells{{"elastic", Budget::fraction(0.3)},
                                                          {"full", Budget::unlimited()},
                                                          {"streaming-llm", Budget::tokens(6)},
                                                          {"h2o", Budget::fraction(0.5)},
                                                          {"random", Budget::fraction(0.2)}};
  std::vector<std::unique_ptr<Strategy>> strategies;
  for (const auto& cell : cells) strategies.push_back(make_strategy(cell.first));
  GreedyOptions options;
  options.max_new_tokens = 24;
  const auto alone = [&](size_t i) {
    Sequence sequence(language(), prompt_, *strategies[i], cells[i].second);
    return generate_greedy(language(), {&sequence}, options)[0];
  };
  std::vector<std::vector<int64_t>> endless;
  for (size_t i = 0; i < cells.size(); ++i) endless.push_back(alone(i).token_ids);
  // An end token at which some texts end earlier than others.
  for (int64_t end = 0; end < language().vocab_size() && options.end_tokens.empty(); ++end) {
    std::vector<int64_t> lengths;
    for (const auto& text : endless)
      lengths.push_back(std::find(text.begin(), text.end(), end) - text.begin());
    const auto [shortest, longest] = std::minmax_element(lengths.begin(), lengths.end());
    if (*shortest > 0 && *shortest < 20 && *longest == 24) options.end_tokens = {end};
  }
  ASSERT_FALSE(options.end_tokens.empty());
  std::vector<Sequence> sequences;
  for (size_t i = 0; i < cells.size(); ++i)
    sequences.emplace_back(language(), prompt_, *strategies[i], cells[i].second);
  std::vector<Sequence*> batch;
  for (Sequence& sequence : sequences) batch.push_back(&sequence);
  const auto together = generate_greedy(language(), batch, options);
  for (size_t i = 0; i < cells.size(); ++i) {
    const GreedyText single = alone(i);
    EXPECT_EQ(together[i].token_ids, single.token_ids) << cells[i].first;
    EXPECT_EQ(together[i].finished, single.finished) << cells[i].first;
  }
}

}  // namespace
}  // namespace elastikv
