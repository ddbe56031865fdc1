// The data sets of a sweep as its file describes them.
#include <string>

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "sweep/config.h"

namespace elastikv {
namespace {

TEST(SweepConfig, DataSourcesAndProblems) {
  const auto parse_data = [](const std::string& keys) {
    return parse_sweep("models: {path: m}\ndata: {path: q.jsonl" + keys + "}\nstrategies: [full]\n",
                       "s.yaml");
  };
  const SweepConfig plain = parse_data("");
  EXPECT_EQ(plain.data[0].answers, "");
  EXPECT_EQ(plain.data[0].prompt, "");
  EXPECT_EQ(plain.data[0].image_cache, "");
  EXPECT_EQ(plain.data[0].on_problem, OnProblem::kRefuse);
  EXPECT_EQ(plain.data[0].ids, RepeatedIds::kNumber);
  const SweepConfig config = parse_data(
      ", answers: answers_gpt4.jsonl, prompt: 'Describe.', image_cache: cache, "
      "on_problem: record, ids: unique");
  EXPECT_EQ(config.data[0].answers, "answers_gpt4.jsonl");
  EXPECT_EQ(config.data[0].prompt, "Describe.");
  EXPECT_EQ(config.data[0].image_cache, "cache");
  EXPECT_EQ(config.data[0].on_problem, OnProblem::kRecord);
  EXPECT_EQ(parse_data(", on_problem: refuse").json(), plain.json());

  // What can change a record, and what cannot.
  EXPECT_NE(parse_data(", answers: a.jsonl").records_hash(), plain.records_hash());
  EXPECT_NE(parse_data(", prompt: Describe.").records_hash(), plain.records_hash());
  EXPECT_EQ(parse_data(", on_problem: record").records_hash(), plain.records_hash());
  EXPECT_EQ(parse_data(", image_cache: cache").records_hash(), plain.records_hash());
  EXPECT_EQ(parse_data(", ids: unique").records_hash(), plain.records_hash());
  EXPECT_EQ(parse_data(", ids: number").json(), plain.json());
  EXPECT_EQ(config.data[0].ids, RepeatedIds::kRefuse);
  for (const char* key : {"answers", "prompt", "on_problem", "picture_cache", "ids"})
    EXPECT_NE(config.json().find("\"" + std::string(key) + "\":"), std::string::npos) << key;

  EXPECT_ERROR(parse_data(", on_problem: skip"),
               "s.yaml:2: key 'data.on_problem' is 'skip', needs refuse or record");
  EXPECT_ERROR(parse_data(", ids: refuse"),
               "s.yaml:2: key 'data.ids' is 'refuse', needs number or unique");
  for (const char* key : {"answers", "prompt", "image_cache"}) {
    EXPECT_ERROR(parse_data(", " + std::string(key) + ": ''"),
                 "s.yaml:2: key 'data." + std::string(key) + "' is empty");
  }
  EXPECT_ERROR(parse_data(", answer: a.jsonl"),
               "s.yaml:2: unknown key 'data.answer'; did you mean 'answers'?");
}

TEST(SweepConfig, ColumnsOfData) {
  const auto parse_data = [](const std::string& keys) {
    return parse_sweep(
        "models: {path: m}\ndata: {path: q.parquet" + keys + "}\nstrategies: [full]\n", "s.yaml");
  };
  const SweepConfig plain = parse_data("");
  EXPECT_FALSE(plain.data[0].columns.has_value());
  EXPECT_EQ(plain.json().find("columns"), std::string::npos);
  const SweepConfig config = parse_data(
      ", split: test, columns: {question: q, images: [image_1, image_2], answer: a.text, "
      "categories: kind, category_separator: ', '}");
  ASSERT_EQ(config.data.size(), 1U);  // several images are no variants
  DataColumns columns;
  columns.question = "q";
  columns.images = {"image_1", "image_2"};
  columns.answer = "a.text";
  columns.categories = {"kind"};
  columns.category_separator = ", ";
  EXPECT_EQ(config.data[0].columns, columns);
  EXPECT_EQ(config.data[0].split, "test");
  EXPECT_NE(
      config.json().find(R"("columns":{"question":"q","images":["image_1","image_2"],)"
                         R"("answer":"a.text","categories":["kind"],"category_separator":", "})"),
      std::string::npos)
      << config.json();
  EXPECT_NE(parse_data(", split: test").records_hash(), plain.records_hash());
  EXPECT_NE(parse_data(", columns: {question: q}").records_hash(), plain.records_hash());
  EXPECT_ERROR(parse_data(", columns: {questions: q}"),
               "s.yaml:2: unknown key 'data.columns.questions'; did you mean 'question'?");
  EXPECT_ERROR(parse_data(", columns: {id: ''}"), "s.yaml:2: key 'data.columns.id' is empty");
}

TEST(SweepConfig, ImagesOfDataThatStandInTextsOrApart) {
  const auto parse_data = [](const std::string& keys) {
    return parse_sweep(
        "models: {path: m}\ndata: {path: q.parquet, columns: {question: q, images: i, "
        "answer: a}" +
            keys + "}\nstrategies: [full]\n",
        "s.yaml");
  };
  const SweepConfig plain = parse_data("");
  EXPECT_FALSE(plain.data[0].images_from.has_value());
  EXPECT_EQ(plain.data[0].image_markers, "");
  EXPECT_EQ(plain.json().find("images_from"), std::string::npos);
  EXPECT_EQ(plain.json().find("image_markers"), std::string::npos);
  const SweepConfig config =
      parse_data(", images_from: {path: ../pictures, image: bytes}, image_markers: '[{n}]'");
  EXPECT_EQ(config.data[0].images_from,
            (ImageTable{.path = "../pictures", .split = "", .id = "id", .image = "bytes"}));
  EXPECT_EQ(config.data[0].image_markers, "[{n}]");
  EXPECT_NE(parse_data(", images_from: {path: p}").records_hash(), plain.records_hash());
  EXPECT_NE(parse_data(", image_markers: '[{n}]'").records_hash(), plain.records_hash());
  EXPECT_ERROR(parse_data(", images_from: {id: key}"),
               "s.yaml:2: key 'data.images_from.path' is missing");
  EXPECT_ERROR(parse_data(", images_from: {path: p, ids: key}"),
               "s.yaml:2: unknown key 'data.images_from.ids'; did you mean 'id'?");
  EXPECT_ERROR(
      parse_data(", image_markers: '<image>'"),
      "s.yaml:2: key 'data.image_markers' is not usable: '<image>' needs {n} once, between "
      "two texts, with no digit beside it");
}

TEST(SweepConfig, AnswersAreNeededByWhatComparesWithThem) {
  const auto needs = [](const std::string& metrics) {
    const SweepConfig config = parse_sweep(
        "models: {path: m}\ndata: [{path: a.jsonl}, {path: b.jsonl}]\nstrategies: [full]\n" +
            metrics,
        "s.yaml");
    EXPECT_EQ(config.data[0].needs_answers, config.data[1].needs_answers);
    return config.data[0].needs_answers;
  };
  EXPECT_TRUE(needs(""));
  EXPECT_TRUE(needs("metrics: {perplexity: true, text: []}\n"));
  EXPECT_TRUE(needs("metrics: {perplexity: false, text: [rougeL], reference: dataset}\n"));
  EXPECT_FALSE(needs("metrics: {perplexity: false}\n"));
  EXPECT_FALSE(needs("metrics: {perplexity: false, text: [rougeL], reference: full-cache}\n"));
  EXPECT_FALSE(needs("metrics: {perplexity: false, text: [], reference: dataset}\n"));
  EXPECT_FALSE(needs("predict_only: true\n"));
}

}  // namespace
}  // namespace elastikv
