#include "report/score_tables.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/expect_error.h"

namespace elastikv {
namespace {

using Names = std::vector<std::string>;

constexpr const char* kLines =
    R"({"id": 1, "reference": "a b", "candidate": "a b", "strategy": "full", "category": ["ocr", "math"]})"
    "\n\n"
    R"({"id": "b,c", "reference": "a b", "candidate": "z", "strategy": "full", "category": "ocr"})"
    "\n";

ScoredFiles of(const Names& metrics) { return {.metrics = TextMetrics(metrics), .bootstrap = 0}; }

/// kLines as one file.
ScoredFiles scored(bool per_category = false) {
  ScoredFiles scores = of({"rougeL"});
  scores.per_category = per_category;
  scores.add("one.jsonl", kLines);
  return scores;
}

TEST(ScoredFilesTest, RefuseMetricsOfLikelihoods) {
  ScoredFiles scores = of({"rougeL", "choice-likelihood"});
  EXPECT_ERROR(
      scores.add("f", R"({"id": "a", "reference": "b", "candidate": "c"})"),
      "metric 'choice-likelihood' judges the likelihoods of options, which a sweep computes "
      "(answer_by: likelihood): a text has none");
}

TEST(Scores, FollowFromTheLines) {
  const ScoredFiles scores = scored(/*per_category=*/true);
  ASSERT_EQ(scores.files.size(), 1U);
  const ScoredFile& file = scores.files.front();
  ASSERT_EQ(file.lines.size(), 2U);
  EXPECT_EQ(file.lines[0].id, 1);
  EXPECT_EQ(file.lines[0].id_text, "1");
  EXPECT_EQ(file.lines[1].id_text, "b,c");
  EXPECT_EQ(file.lines[0].scores.at(0).f, 1);
  EXPECT_EQ(file.labels[2], "full");
  EXPECT_EQ(file.labels[0], "") << "no line says which model it is of";
  EXPECT_EQ(file.totals.at(0).f.mean, 0.5);
  EXPECT_FALSE(file.totals[0].interval);
  EXPECT_EQ(file.categories.at("ocr").at(0).f.samples, 2);
  EXPECT_EQ(file.categories.at("math").at(0).f.mean, 1);
  EXPECT_EQ(file.totals[0].signature.substr(file.totals[0].signature.rfind('|')), "|ref:given");
}

TEST(Scores, VotesAreThoseOfALineThatHasThem) {
  ScoredFiles scores = of({"vqa-accuracy"});
  scores.add(
      "f",
      R"({"id": 1, "reference": ["yes", "no"], "candidate": "Yes", "votes": ["yes", "yes", "no"]})"
      "\n"
      R"({"id": 2, "reference": ["yes", "no"], "candidate": "Yes"})");
  const ScoredFile& file = scores.files.front();
  EXPECT_NEAR(file.lines[0].scores[0].f, (1 + 1 + 2) / 9.0, 1e-12);
  EXPECT_NEAR(file.lines[1].scores[0].f, 1 / 6.0, 1e-12);
}

TEST(Scores, OfAnswersLookAtWhatLinesSayOfTheirQuestions) {
  ScoredFiles scores = of({"choice-vlmeval", "vqa-accuracy", "mme-accuracy-plus"});
  scores.add("f",
             R"({"id": 1, "reference": "B", "candidate": "B.", "options": ["a", "b"]})"
             "\n"
             R"({"id": 2, "reference": ["yes", "yes", "no"], "candidate": "Yes", "group": "x"})"
             "\n"
             R"({"id": 3, "reference": "no", "candidate": "no", "group": "x"})");
  const ScoredFile& file = scores.files.front();
  EXPECT_EQ(file.lines[0].scores[0].f, 1);
  EXPECT_FALSE(file.lines[1].scores[0].defined);
  EXPECT_NEAR(file.lines[1].scores[1].f, (1 + 1 + 2) / 9.0, 1e-12);
  // The first line's answer is no yes or no: of two groups one is all right.
  EXPECT_NEAR(file.totals[2].f.mean, 0.5, 1e-12);
  EXPECT_EQ(file.totals[0].undefined, 2);
}

TEST(Scores, OfAllLinesTogetherAreTheirValues) {
  ScoredFiles scores = of({"cider-d", "bleu-1"});
  scores.bootstrap = 100;
  scores.add("f", R"({"id": 1, "reference": "a red bus", "candidate": "a red bus"})"
                  "\n"
                  R"({"id": 2, "reference": "two dogs run", "candidate": "one cat"})");
  const ScoredFile& file = scores.files.front();
  EXPECT_NEAR(file.lines[0].scores[0].f, 7.5, 1e-9) << "ten times the mean of n = 1, 2, 3 of 4";
  EXPECT_EQ(file.lines[1].scores[0].f, 0);
  EXPECT_NEAR(file.totals[0].f.mean, 3.75, 1e-9);
  EXPECT_TRUE(file.totals[0].interval);
  EXPECT_GT(file.totals[0].interval->high, 1) << "CIDEr-D goes to 10";
  EXPECT_EQ(file.totals[0].signature.substr(0, 8), "cider-d ");
}

TEST(Scores, RefuseLinesThatCannotBeScored) {
  ScoredFiles scores = of({"rougeL"});
  EXPECT_ERROR(scores.add("f", "\n"), "f: holds no lines to score");
  EXPECT_ERROR(scores.add("f", "\n[1]"),
               "f:2: each line must be an object with id, reference and candidate, this is array");
  scores.per_category = true;
  EXPECT_ERROR(scores.add("f", R"({"id": 1, "reference": "a", "candidate": "a"})"),
               "f: --per-category needs lines with a 'category'");
  EXPECT_TRUE(scores.files.empty());
}

TEST(ScoreTables, LongTableHasARowPerLineAndMean) {
  const Table table = scores_table(scored(/*per_category=*/true));
  EXPECT_EQ(table.header, (Names{"row", "id", "metric", "p", "r", "f", "ci_low", "ci_high", "n",
                                 "undefined", "signature"}));
  ASSERT_EQ(table.rows.size(), 5U);
  EXPECT_EQ(table.rows[0], (Names{"line", "1", "rougeL", "1", "1", "1", "", "", "", "0", ""}));
  EXPECT_EQ(table.rows[1], (Names{"line", "b,c", "rougeL", "0", "0", "0", "", "", "", "0", ""}));
  const std::string& signature = table.rows[2].back();
  EXPECT_EQ(signature.find("rougeL type:f|"), 0U);
  EXPECT_EQ(table.rows[2],
            (Names{"mean", "", "rougeL", "", "", "0.5", "", "", "2", "0", signature}));
  EXPECT_EQ(table.rows[3],
            (Names{"category", "math", "rougeL", "", "", "1", "", "", "1", "0", signature}));
  EXPECT_EQ(table.rows[4],
            (Names{"category", "ocr", "rougeL", "", "", "0.5", "", "", "2", "0", signature}));

  ScoredFiles two = scored();
  two.add("two.jsonl", kLines);
  const Table files = scores_table(two);
  EXPECT_EQ(files.header.front(), "file");
  ASSERT_EQ(files.rows.size(), 6U);
  EXPECT_EQ(files.rows[2].front(), "one.jsonl");
  EXPECT_EQ(files.rows[3].front(), "two.jsonl");
}

TEST(ScoreTables, TextShowsLinesWhereTheyAreAskedFor) {
  ScoredFiles scores = scored();
  const std::string signature = scores.files.front().totals.front().signature;
  const std::string means =
      "metric  mean F  95 % interval         n\n"
      "rougeL  0.5000  -                    2\n"
      "\n" +
      signature + "\n";
  EXPECT_EQ(scores_text(scores), means);
  scores.per_line = true;
  EXPECT_EQ(scores_text(scores),
            "id   rougeL\n"
            "1    1.0000\n"
            "b,c  0.0000\n"
            "\n" +
                means);
}

TEST(ScoreTables, TextNamesFilesThatTheirLabelsDoNotTellApart) {
  ScoredFiles scores = scored();
  scores.add("two.jsonl", kLines);
  EXPECT_EQ(scores_text(scores).substr(0, scores_text(scores).find("\n\n")),
            "| file      |   n | rougeL |\n"
            "| --------- | ---:| ------:|\n"
            "| one.jsonl |   2 | 0.5000 |\n"
            "| two.jsonl |   2 | 0.5000 |");
}

TEST(ScoreTables, FormsAreNamed) {
  EXPECT_EQ(form_names(score_forms()), (Names{"table", "csv", "json"}));
  const ScoredFiles scores = scored();
  EXPECT_EQ(write_scores(scores, "table"), scores_text(scores));
  EXPECT_EQ(write_scores(scores, "csv"), scores_table(scores).csv());
  const auto json = nlohmann::json::parse(write_scores(scores, "json"));
  EXPECT_EQ(json.at("metrics").at("rougeL").at("mean"), 0.5);
  EXPECT_TRUE(json["metrics"]["rougeL"].at("ci").is_null());
  EXPECT_EQ(json.at("lines").at(1).at("id"), "b,c");
  EXPECT_ERROR(write_scores(scores, "md"), "unknown score format 'md'; known: table, csv, json");
}

}  // namespace
}  // namespace elastikv
