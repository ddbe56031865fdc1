// Metrics of answers beyond what their oracles say: names, signatures, messages, uncertainty.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/utf8.h"
#include "metrics/caption_words.h"
#include "metrics/choice_letters.h"
#include "metrics/linearised.h"
#include "metrics/metric_set.h"
#include "metrics/relative_score.h"
#include "metrics/text_metrics.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

using Words = std::vector<std::string>;

Question choice(std::string answer, std::vector<std::string> references = {}) {
  Question question{.answer = std::move(answer),
                    .references = std::move(references),
                    .options = {"red", "B", "", "a dog"}};
  if (question.references.empty()) question.references = {question.answer};
  return question;
}

/// Samples with their texts, measured by the metrics of some names.
class Measured {
 public:
  explicit Measured(const std::vector<std::string>& names)
      : set_(MetricChoice{.perplexity = false, .text = names, .agreement = false}) {}

  void add(const std::string& text, Question question, const std::string& full = "") {
    samples_.push_back({text, full, std::move(question)});
  }
  const Metric& metric(size_t place) const { return *set_.metrics().at(place); }
  const MetricSet& set() const { return set_; }

  Measurement measure(size_t place, const Clusters& clusters = {}) const {
    std::vector<ModelOutput> outputs(samples_.size());
    std::vector<Scores> scores;
    std::vector<MeasuredSample> measured;
    for (size_t i = 0; i < samples_.size(); ++i) {
      outputs[i].text = samples_[i].text;
      ModelOutput full;
      full.text = samples_[i].full;
      std::vector<TextPair> pairs;
      for (const std::string& reference : samples_[i].question.references)
        pairs.emplace_back(reference, outputs[i].text);
      scores.push_back(set_.score({outputs[i], full, pairs, samples_[i].question}, false));
    }
    for (size_t i = 0; i < samples_.size(); ++i)
      measured.push_back({outputs[i], scores[i], &samples_[i].question});
    return metric(place).measure(measured, clusters, Bootstrap(100));
  }

 private:
  struct Sample {
    std::string text;
    std::string full;
    Question question;
  };
  MetricSet set_;
  std::vector<Sample> samples_;
};

TEST(TaskMetricNames, AreNotAmongThoseOfEveryText) {
  std::set<std::string> names(text_metric_names().begin(), text_metric_names().end());
  for (const std::string& name : task_metric_names()) {
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_EQ(TextMetrics({name}).metrics().front()->form().name, name);
  }
  EXPECT_ERROR(TextMetrics({"vqa-acuracy"}),
               "metric 'vqa-acuracy' is not known; did you mean 'vqa-accuracy'?");
  EXPECT_ERROR(TextMetrics({"nonsense-of-a-name"}),
               "metric 'nonsense-of-a-name' is not known; known: rouge-1-pltrdy, rouge-2-pltrdy, "
               "rouge-l-pltrdy, rouge1, rouge2, rougeL, rougeLsum, rouge1-stem, rouge2-stem, "
               "rougeL-stem, rougeLsum-stem, and those of `elastikv list metrics`");
}

TEST(TaskMetricNames, SayWhatTheyCompareWithWhateverTheSweepChose) {
  const Measured all({"anls", "bleu-4", "loyalty"});
  EXPECT_EQ(all.metric(0).traits().title,
            "anls against the answers (mean similarity, higher is better)");
  EXPECT_EQ(all.metric(0).traits().label, "ANLS similarity against the answers");
  EXPECT_EQ(all.metric(0).traits().reference, "dataset");
  EXPECT_EQ(all.metric(1).traits().title, "bleu-4 against the answers (BLEU-4 of all samples)");
  EXPECT_EQ(all.metric(2).traits().reference, "full-cache");
  EXPECT_FALSE(all.metric(2).traits().full_row);
  EXPECT_TRUE(all.metric(2).traits().right_or_wrong);
  EXPECT_FALSE(all.metric(0).traits().right_or_wrong);
  EXPECT_TRUE(all.set().needs_full());
  EXPECT_TRUE(all.set().needs_answers());
  EXPECT_TRUE(all.set().needs_question());
  EXPECT_FALSE(Measured({"loyalty"}).set().needs_answers());
  EXPECT_FALSE(Measured({"loyalty", "rougeL"}).set().needs_question());
}

TEST(TaskMetricNames, HaveSignaturesOfTheirRules) {
  const SignatureContext context{.reference = "given", .bootstrap = 0};
  const auto start = [&](const std::string& name) {
    const std::string whole = TextMetrics({name}).signature(0, context);
    return whole.substr(0, whole.find("|bs:"));
  };
  EXPECT_EQ(start("vqa-accuracy"),
            "vqa-accuracy type:vqa-leave-one-out|norm:evalai-lmms-eval-0.7.3|votes:3|agg:mean");
  EXPECT_EQ(start("anls"), "anls type:anls|threshold:<0.5|length:compared|agg:mean");
  EXPECT_EQ(start("choice-mmmu"),
            "choice-mmmu type:choice|rule:mmmu-lmms-eval-0.7.3|none:wrong|agg:mean");
  EXPECT_EQ(start("accuracy-mmmu"),
            "accuracy-mmmu type:choice-or-open|rule:mmmu-lmms-eval-0.7.3|none:wrong|agg:mean");
  EXPECT_EQ(start("accuracy-realworldqa"),
            "accuracy-realworldqa "
            "type:choice-or-exact|rule:realworldqa-lmms-eval-0.7.3|none:wrong|agg:mean");
  EXPECT_EQ(start("yes-no-f1"),
            "yes-no-f1 type:yes-no|rule:pope-lmms-eval-0.7.3|value:f1|agg:samples");
  EXPECT_EQ(start("cider-d"),
            "cider-d type:cider-d|n:4|sigma:6|df:references|tok:ptb-plain-1|agg:samples");
  EXPECT_EQ(start("mme-total"),
            "mme-total type:yes-no|rule:mme-lmms-eval-0.7.3|value:total|agg:samples");
}

TEST(TaskMetricNames, KeepScoresOnlyWhereASampleHasOne) {
  EXPECT_TRUE(Measured({"cider-d"}).set().scorers().empty());
  const Measured bleu({"bleu-1"});
  ASSERT_EQ(bleu.set().scorers().size(), 1U);
  EXPECT_EQ(bleu.set().scorers().front()->fields().front().key, "value");
}

TEST(RightLetter, IsTheLetterOrTheTextOfAnOption) {
  EXPECT_EQ(offered_letters(choice("A")), "ABD");
  EXPECT_EQ(right_letter(choice("D")), 'D');
  EXPECT_EQ(right_letter(choice(" d")), 'D');
  EXPECT_EQ(right_letter(choice("a dog")), 'D');
  EXPECT_EQ(right_letter(choice("B")), 'B') << "the letter, though it is a text as well";
  EXPECT_EQ(right_letter(choice("A. red", {"A. red", "A", "red"})), 'A');
  EXPECT_EQ(right_letter(choice("D. a dog")), 'D');
  EXPECT_EQ(right_letter(choice("C")), std::nullopt) << "not offered";
  EXPECT_EQ(right_letter(choice("blue")), std::nullopt);
  EXPECT_EQ(offered_letters({}), "ABCD");
  EXPECT_EQ(right_letter({.answer = "c", .references = {"c"}}), 'C');
}

TEST(AnswerRules, CountQuestionsThatTheyCannotJudgeAsZeroAndSaySo) {
  Measured answers({"yes-no", "choice-vlmeval"});
  answers.add("yes", {.answer = "yes", .references = {"yes"}});
  answers.add("yes", {.answer = "perhaps", .references = {"perhaps"}});
  const Measurement found = answers.measure(0);
  EXPECT_EQ(found.value, 0.5);
  EXPECT_EQ(found.undefined, (std::vector<size_t>{1}));
  const MeasuredCell cell{"cell", false, found, Clusters()};
  EXPECT_EQ(answers.metric(0).notes({&cell, 1}),
            (Words{"1 of 2 samples have not an answer yes or no, and yes-no counts them as 0."}));
  const Measurement choices = answers.measure(1);
  const MeasuredCell other{"cell", false, choices, Clusters()};
  EXPECT_EQ(answers.metric(1).notes({&other, 1}),
            (Words{"2 of 2 samples have not an answer that is one of the options, and "
                   "choice-vlmeval counts them as 0."}));
}

TEST(AnswerRules, TakeBrokenTextsOfAModel) {
  const Question question{.answer = "caf\u00e9", .references = {"caf\u00e9"}};
  for (const std::string& name : task_metric_names()) {
    const TextScore score = TextMetrics({name}).score_answer(question, "caf\xC3").front();
    EXPECT_TRUE(score.f >= 0 && score.f <= 1) << name;
  }
  EXPECT_EQ(TextMetrics({"anls"}).score_answer(question, "caf\xC3").front().f, 0.75);
}

/// What a metric says of options with these log likelihoods and texts, A first.
std::vector<std::optional<double>> likelihood_scores(
    const std::vector<std::pair<double, std::string>>& options, const Question& question) {
  const MetricSet set(MetricChoice{.perplexity = false,
                                   .text = {"choice-likelihood", "choice-likelihood-per-character",
                                            "choice-likelihood-per-byte"},
                                   .agreement = false});
  ModelOutput output;
  for (const auto& [likelihood, text] : options) {
    output.options.push_back({static_cast<char>('A' + output.options.size()), likelihood, 2,
                              std::ssize(text), static_cast<int64_t>(to_characters(text).size())});
  }
  std::vector<std::optional<double>> values;
  for (const std::optional<Score>& score : set.score({output, {}, {}, question}, false))
    values.push_back(score->at(1) != 0 ? std::optional(score->front()) : std::nullopt);
  return values;
}

// lm-evaluation-harness: np.argmax of lls, of lls / len(choice) and of lls / len(choice.encode()).
TEST(ChoiceLikelihood, TakesTheLikeliestOption) {
  using Values = std::vector<std::optional<double>>;
  const Question second{.answer = "B", .references = {"B"}, .options = {"no", "perhaps", "non"}};
  EXPECT_EQ(likelihood_scores({{-2, "no"}, {-4, "perhaps"}, {-5, "non"}}, second),
            (Values{0, 1, 1}));
  EXPECT_EQ(likelihood_scores({{-2, "no"}, {-1, "perhaps"}, {-5, "non"}}, second),
            (Values{1, 1, 1}));
  // Of equals the first.
  EXPECT_EQ(likelihood_scores({{-2, "no"}, {-2, "no"}, {-5, "non"}}, second), (Values{0, 0, 0}));
  // Three letters of two bytes each.
  const Question greek{
      .answer = "A", .references = {"A"}, .options = {"\u03bd\u03b1\u03b9", "yes"}};
  EXPECT_EQ(likelihood_scores({{-3, "\u03bd\u03b1\u03b9"}, {-2, "yes"}}, greek), (Values{0, 0, 1}));
  const Question other{.answer = "maybe", .references = {"maybe"}, .options = {"no", "yes"}};
  EXPECT_EQ(likelihood_scores({{-3, "no"}, {-2, "yes"}}, other),
            (Values{std::nullopt, std::nullopt, std::nullopt}));
  EXPECT_EQ(likelihood_scores({}, greek), (Values{std::nullopt, std::nullopt, std::nullopt}));
}

TEST(ChoiceLikelihood, SaysHowItChose) {
  SignatureContext context{.reference = "dataset", .bootstrap = 0};
  const auto start = [&](const std::string& name) {
    const std::string whole = TextMetrics({name}).signature(0, context);
    return whole.substr(0, whole.find("|bs:"));
  };
  EXPECT_EQ(start("choice-likelihood"),
            "choice-likelihood type:choice|rule:log-likelihood|norm:none|agg:mean");
  context.option_text = "letter";
  EXPECT_EQ(start("choice-likelihood-per-byte"),
            "choice-likelihood-per-byte type:choice|rule:log-likelihood|norm:bytes|options:letter|"
            "agg:mean");
  EXPECT_EQ(start("choice-vlmeval"),
            "choice-vlmeval type:choice|rule:vlmevalkit-0.0.20-exact|none:wrong|agg:mean");
  EXPECT_TRUE(is_of_likelihood("choice-likelihood-per-character"));
  EXPECT_FALSE(is_of_likelihood("choice-vlmeval"));
}

TEST(ChoiceLikelihood, SaysOfHowManyQuestionsTheUncompressedPromptDecides) {
  const MetricSet set(MetricChoice{
      .perplexity = false, .text = {"choice-likelihood", "loyalty"}, .agreement = false});
  const Question question{.answer = "B", .references = {"B"}, .options = {"no", "yes"}};
  std::vector<ModelOutput> outputs(3);
  std::vector<Scores> scores;
  for (size_t i = 0; i < outputs.size(); ++i) {
    // Of the first alone has an option more than one token.
    outputs[i].options = {{'A', -2, 1, 2, 2}, {'B', -1, i == 0 ? 2 : 1, 3, 3}};
    scores.push_back(set.score({outputs[i], outputs[i], {}, question}, false));
  }
  std::vector<MeasuredSample> samples;
  for (size_t i = 0; i < outputs.size(); ++i) samples.push_back({outputs[i], scores[i], &question});
  const Metric& metric = *set.metrics().front();
  const Measurement found = metric.measure(samples, {}, Bootstrap(100));
  EXPECT_EQ(found.value, 1);
  EXPECT_EQ(metric.unmoved(found), "2 of 3 questions have options of one token alone");
  const MeasuredCell cell{"cell", false, found, Clusters()};
  EXPECT_EQ(
      metric.notes({&cell, 1}),
      (Words{"2 of 3 questions have options of one token alone: the uncompressed prompt's own "
             "logits score it, so that every strategy chooses as the full cache does there. With "
             "`compress_at: before_last_token` it comes from the compressed cache."}));
  EXPECT_TRUE(metric.traits().right_or_wrong);
  EXPECT_EQ(metric.traits().reference, "dataset");
}

TEST(TextMetrics, SayHowManyTextsTheUncompressedPromptDecides) {
  const MetricSet set(
      MetricChoice{.perplexity = false, .text = {"exact-match"}, .agreement = false});
  const Question question{.answer = "Yes", .references = {"Yes"}};
  std::vector<ModelOutput> outputs(3);
  outputs[0].token_ids = {7};
  outputs[1].token_ids = {7, 8};
  outputs[2].token_ids = {9};
  std::vector<Scores> scores;
  for (ModelOutput& output : outputs) {
    output.text = "Yes";
    TextPair pair("Yes", "Yes");
    scores.push_back(set.score({output, output, {&pair, 1}, question}, false));
  }
  const Metric& metric = *set.metrics().front();
  const auto measured = [&](int64_t compressed_tokens) {
    std::vector<MeasuredSample> samples;
    for (size_t i = 0; i < outputs.size(); ++i) {
      outputs[i].compressed_tokens = compressed_tokens;
      samples.push_back({outputs[i], scores[i], &question});
    }
    return metric.measure(samples, {}, Bootstrap(100));
  };
  const Measurement full = measured(0);
  const Measurement later = measured(5);
  EXPECT_EQ(metric.unmoved(full), "2 of 3 texts (66.7 %) have one token");
  EXPECT_EQ(metric.unmoved(later), "");
  const Clusters alone;
  const MeasuredCell first{"full", false, full, alone};
  const MeasuredCell same{"a", false, full, alone};
  const MeasuredCell compressed{"b", false, later, alone};
  const std::vector<MeasuredCell> at_the_end{first, same, compressed};
  EXPECT_EQ(
      metric.notes(at_the_end),
      (Words{"2 of 3 texts (66.7 %) have one token: it comes from the uncompressed prompt, so "
             "that a strategy decides only whether the text ends there. With `compress_at: "
             "before_last_token` it comes from the compressed cache."}));
  const std::vector<MeasuredCell> all_before{first, compressed};
  EXPECT_EQ(metric.notes(all_before), Words{});
}

TEST(AnswerRules, CountVotesAndOtherwiseReferences) {
  const TextMetrics metric({"vqa-accuracy"});
  Question question{.answer = "red", .references = {"red", "blue"}};
  question.votes = {"red", "red", "blue", "blue", "blue", "blue", "blue", "blue", "blue", "blue"};
  // Two of ten: two sets have one of them left, eight have both.
  EXPECT_NEAR(metric.score_answer(question, "Red.").front().f, (2 * 1 + 8 * 2) / 30.0, 1e-12);
  question.votes.clear();
  EXPECT_NEAR(metric.score_answer(question, "red").front().f, 1 / 6.0, 1e-12);
}

TEST(AnswerRules, GiveMmVetsPartsTheirShare) {
  const TextMetrics metric({"contains-answer-mm-vet"});
  const auto score = [&](const std::string& answer, const std::string& text) {
    return metric.score_answer({.answer = answer, .references = {"-1, -5"}}, text).front().f;
  };
  EXPECT_EQ(score("-1<AND>-5", "x = 3"), 0);
  EXPECT_EQ(score("-1<AND>-5", "x = -5 or 5"), 0.5);
  EXPECT_EQ(score("-1<AND>-5", "x = -1 or x = -5"), 1);
  EXPECT_EQ(score("two<AND>cats<OR>A  Dog", "I see a dog"), 1);
  EXPECT_EQ(score("", "anything"), 0) << "the references then: no such text";
}

TEST(Loyalty, IsEqualityWithTheFullCachesTextWhateverTheAnswer) {
  Measured answers({"loyalty"});
  answers.add(" a dog\n", {.answer = "a cat", .references = {"a cat"}}, "a dog");
  answers.add("A dog", {.answer = "a cat", .references = {"a cat"}}, "a dog");
  EXPECT_EQ(answers.measure(0).value, 0.5);
}

TEST(CaptionWords, AreThoseOfThePennTreebankForPlainText) {
  EXPECT_EQ(caption_words("A man's two-year-old dog isn't here; it can't be!"),
            (Words{"a", "man", "'s", "two-year-old", "dog", "is", "n't", "here", "it", "ca", "n't",
                   "be"}));
  EXPECT_EQ(caption_words("cannot \"go\" (really) at 5 p.m., 1,000.50 & 10:30"),
            (Words{"can", "not", "go", "-lrb-", "really", "-rrb-", "at", "5", "p.m.", "1,000.50",
                   "&", "10:30"}));
  EXPECT_EQ(caption_words("naïve café — 猫。 $5 x\xC3"),
            (Words{"naïve", "café", "猫", "。", "$", "5", "x", "\uFFFD"}));
  EXPECT_EQ(caption_words(" .,;:? ! -- '' \n"), Words{});
  EXPECT_EQ(caption_words("what?!"), (Words{"what", "?!"}));  // one word of the Treebank's
}

TEST(Linearised, HasTheRatioAsItsMeanAndItsDeltaErrorAsItsSpread) {
  const std::vector<double> numerators{1, 0, 2, 1};
  const std::vector<double> denominators{2, 1, 2, 3};
  std::vector<double> values(4);
  linearise_ratio(numerators, denominators, values);
  const MeanEstimate mean = estimate_mean(values);
  EXPECT_NEAR(mean.mean, 0.5, 1e-12);
  // sqrt(n / (n - 1) * sum((a - r b)^2)) / sum(b), as of a perplexity's logarithm.
  EXPECT_NEAR(*mean.standard_error, std::sqrt(4 / 3.0 * (0 + 0.25 + 1 + 0.25)) / 8, 1e-12);
  linearise_ratio(std::vector<double>(4), std::vector<double>(4), values);
  EXPECT_EQ(values, std::vector<double>(4));
}

TEST(Linearised, GivesMetricsOfAllSamplesIntervalsAndPairs) {
  Measured one({"yes-no-f1", "bleu-2", "mme-total"});
  Measured other({"yes-no-f1", "bleu-2", "mme-total"});
  for (int i = 0; i < 40; ++i) {
    const Question question{.answer = i % 2 == 0 ? "yes" : "no",
                            .references = {i % 2 == 0 ? "yes it is one" : "no it is none"},
                            .categories = {i < 20 ? "count" : "OCR"},
                            .group = std::to_string(i / 2)};
    one.add(i % 5 == 0 ? "no" : question.answer, question);
    other.add(i % 3 == 0 ? "yes" : question.answer, question);
  }
  for (size_t place = 0; place < 3; ++place) {
    const Measurement a = one.measure(place);
    const Measurement b = other.measure(place);
    EXPECT_LT(a.interval->low, *a.value);
    EXPECT_GT(a.interval->high, *a.value);
    const MeasuredCell cell_a{"a", false, a, Clusters()};
    const MeasuredCell cell_b{"b", false, b, Clusters()};
    const auto pairs = one.metric(place).pairs(cell_a, cell_b);
    ASSERT_TRUE(pairs.has_value());
    const PairedDifference difference = paired_differences({&*pairs, 1}, Bootstrap(100)).front();
    EXPECT_NEAR(difference.difference, *a.value - *b.value, 1e-9);
    EXPECT_FALSE(difference.mcnemar) << "no single sample is right or wrong";
  }
}

TEST(MetricsOfAllSamples, NeedTheirQuestions) {
  const Measured answers({"cider-d"});
  const ModelOutput output;
  const MeasuredSample sample{output, {}};
  EXPECT_ERROR(answers.metric(0).measure({&sample, 1}, {}, Bootstrap(10)),
               "cider-d: the samples' answers are not kept");
}

// scipy.stats.binomtest(b, b + c, 0.5).pvalue, as fractions of integers give it.
TEST(McNemar, IsTheExactBinomialTest) {
  const auto p = [](size_t only_a, size_t only_b, size_t both) {
    std::vector<double> a(both, 1.0);
    std::vector<double> b(both, 1.0);
    a.insert(a.end(), only_a, 1.0);
    b.insert(b.end(), only_a, 0.0);
    a.insert(a.end(), only_b, 0.0);
    b.insert(b.end(), only_b, 1.0);
    return mcnemar_p(a, b);
  };
  EXPECT_EQ(p(0, 0, 5), 1);
  EXPECT_EQ(p(0, 1, 0), 1);
  EXPECT_EQ(p(3, 3, 2), 1);
  EXPECT_NEAR(p(0, 5, 1), 0.0625, 1e-15);
  EXPECT_NEAR(p(9, 1, 0), 0.021484375, 1e-15);
  EXPECT_NEAR(p(10, 25, 7), 0.01667384780012071, 1e-14);
  EXPECT_NEAR(p(120, 180, 0), 0.0006342200069283569, 1e-15);
  EXPECT_NEAR(p(2600, 2400, 100), 0.004883649737517518, 1e-13);
  EXPECT_NEAR(p(49, 51, 0), 0.9204107626128213, 1e-13);
  EXPECT_NEAR(p(1000, 0, 0) / 1.8665272370064378e-301, 1, 1e-9);
}

TEST(McNemar, StandsBesideDifferencesOfWhatIsRightOrWrong) {
  PairedValues pair{
      .a = {1, 1, 0, 1, 1, 1, 1}, .b = {0, 0, 0, 0, 0, 0, 1}, .weights = {}, .clusters = {}};
  EXPECT_FALSE(paired_differences({&pair, 1}, Bootstrap(10)).front().mcnemar);
  pair.right_or_wrong = true;
  EXPECT_NEAR(*paired_differences({&pair, 1}, Bootstrap(10)).front().mcnemar, 0.0625, 1e-15);
}

TEST(RelativeScore, IsTheMeanOverTasksOfWhatIsKept) {
  const Clusters none;
  PairedValues one{.a = {1, 0, 1, 1}, .b = {1, 1, 1, 1}, .weights = {}, .clusters = none};
  const PairedValues other{.a = {0.5, 0.25}, .b = {0.5, 0.5}, .weights = {}, .clusters = none};
  const std::vector<PairedValues> tasks{one, other};
  const auto found = relative_score(tasks, Bootstrap(200));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->tasks, 2);
  EXPECT_NEAR(found->score, 0.75, 1e-12);
  // Of 1, 0, 1, 1 over ones the error is that of a mean; of the other 0.25 / 2 each.
  EXPECT_NEAR(*found->standard_error, std::sqrt(0.0625 + 2 * 2 * 0.125 * 0.125) / 2, 1e-12);
  EXPECT_LT(found->interval->low, 0.75);
  EXPECT_GT(found->interval->high, 0.75);
  // The full cache beside itself keeps all, exactly.
  one.a = one.b;
  const auto itself = relative_score({&one, 1}, Bootstrap(200));
  EXPECT_EQ(itself->score, 1);
  EXPECT_EQ(itself->interval->low, 1);
  EXPECT_EQ(itself->interval->high, 1);
}

TEST(RelativeScore, LeavesOutTasksOfWhichTheFullCacheHasNothing) {
  const Clusters none;
  const PairedValues nothing{.a = {1, 0}, .b = {0, 0}, .weights = {}, .clusters = none};
  const PairedValues single{.a = {0.5}, .b = {1}, .weights = {}, .clusters = none};
  EXPECT_FALSE(relative_score({&nothing, 1}, Bootstrap(10)));
  const auto found = relative_score(std::vector<PairedValues>{nothing, single}, Bootstrap(10));
  EXPECT_EQ(found->tasks, 1);
  EXPECT_EQ(found->score, 0.5);
  EXPECT_FALSE(found->interval);
}

}  // namespace
}  // namespace elastikv
