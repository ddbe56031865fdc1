#include "sweep/predictions.h"

#include <cstdio>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/expect_error.h"
#include "support/quiet_sweep.h"
#include "support/temporary_folder.h"
#include "sweep/records.h"
#include "sweep/runner.h"
#include "unit/sweep/fake_engines.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;
using Ids = std::vector<std::string>;

/// Texts of a sweep of three samples that a fake engine wrote.
class PredictionsTest : public testing::Test {
 protected:
  PredictionsTest() {
    data_ = folder_.write("data.jsonl", R"({"id": "7", "question": "What is ü?", "answer": "one"})"
                                        "\n"
                                        R"({"id": "007", "question": "q", "answer": "two"})"
                                        "\n"
                                        R"({"id": "v1_3", "question": "q", "answer": "three"})"
                                        "\n");
    output_ = folder_.path() / "out";
  }

  SweepConfig config(const std::string& strategies = "[full, elastic, h2o]",
                     const std::string& more = "") const {
    SweepOverrides overrides;
    overrides.output = output_;
    return parse_sweep("name: test\nmodels: {path: m}\ndata: {path: " + data_.string() +
                           ", name: data}\nstrategies: " + strategies +
                           "\nbudgets: {keep: [0.2, 0.5]}\ndetails: {samples: 0}\n" + more,
                       "s.yaml", overrides);
  }
  SweepOutcome run(const SweepConfig& config, bool resume = false) {
    RunOptions options;
    options.resume = resume;
    return run_quietly(config, options, FakeEngines(plan_));
  }
  PredictionFile file_of(const std::string& cell, const std::string& form = "jsonl") const {
    const Predictions predictions(output_);
    CellSelection selection;
    selection.id = cell;
    const std::vector<Cell> cells = predictions.select(selection);
    EXPECT_EQ(cells.size(), 1U);
    return predictions.write(cells.at(0), prediction_form(form));
  }
  static std::vector<Json> lines_of(const std::string& text) {
    std::vector<Json> lines;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = text.find('\n', begin);
      lines.push_back(Json::parse(text.substr(begin, end - begin)));
      begin = end + 1;
    }
    return lines;
  }
  /// Puts other samples in place of the kept ones.
  void keep(const std::vector<StoredSample>& samples) const {
    std::string lines;
    for (const StoredSample& sample : samples) lines += sample_line("data", sample) + "\n";
    folder_.write("out/samples.jsonl", lines);
  }

  TemporaryFolder folder_;
  std::filesystem::path data_;
  std::filesystem::path output_;
  FakePlan plan_;
};

TEST_F(PredictionsTest, JsonLinesHoldAllThatScoringNeeds) {
  run(config());
  const PredictionFile file = file_of("m-fp32/data/elastic/0.2");
  EXPECT_EQ(file.cell, "m-fp32/data/elastic/0.2");
  EXPECT_EQ(file.name, "m-fp32__data__elastic__0.2.jsonl");
  EXPECT_TRUE(file.missing.empty());
  const std::vector<Json> lines = lines_of(file.text);
  ASSERT_EQ(lines.size(), 3U);
  const StoredSweep stored = read_stored_sweep(output_);
  const Record* record = stored.records.find("m-fp32/data/elastic/0.2", "7");
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(lines[0], Json({{"id", "7"},
                            {"question", "What is ü?"},
                            {"reference", "one"},
                            {"candidate", record->outcome.text},
                            {"images", Json::array()},
                            {"cluster", stored.samples.at("data").at(0).cluster},
                            {"model", "m-fp32"},
                            {"strategy", "elastic"},
                            {"budget", "0.2"},
                            {"data", "data"},
                            {"finished", true},
                            {"tokens", 10}}));
  EXPECT_TRUE(file.text.starts_with(R"({"id":"7","question":"What is ü?","reference":"one")"));
  EXPECT_EQ(lines_of(file_of("m-fp32/data/full").text)[0].at("budget"), "1");
}

TEST_F(PredictionsTest, SeveralReferencesAndCategoriesAreLists) {
  run(config());
  keep({{.id = "7",
         .question = "q",
         .answer = "a",
         .references = {"a", "b"},
         .categories = {"ocr", "math"},
         .images = {"i/x.png"},
         .problem = ""},
        {.id = "007",
         .question = "q",
         .answer = "a",
         .references = {"a"},
         .categories = {"ocr"},
         .images = {},
         .problem = ""},
        {.id = "v1_3",
         .question = "q",
         .answer = "",
         .references = {},
         .categories = {},
         .images = {},
         .problem = ""}});
  const std::vector<Json> lines = lines_of(file_of("m-fp32/data/full").text);
  EXPECT_EQ(lines[0].at("reference"), Json({"a", "b"}));
  EXPECT_EQ(lines[0].at("category"), Json({"ocr", "math"}));
  EXPECT_EQ(lines[0].at("images"), Json({"i/x.png"}));
  EXPECT_EQ(lines[1].at("reference"), "a");
  EXPECT_EQ(lines[1].at("category"), "ocr");
  // A data set without answers is exported all the same.
  EXPECT_EQ(lines[2].at("reference"), "");
  EXPECT_FALSE(lines[2].contains("category"));
}

TEST_F(PredictionsTest, JsonLinesHoldVotesOptionsAndGroup) {
  run(config());
  keep({{.id = "7",
         .question = "q",
         .answer = "yes",
         .references = {"yes", "no"},
         .categories = {},
         .images = {},
         .group = "page 1",
         .votes = {"yes", "no", "yes"},
         .options = {"yes", "", "no"}}});
  const std::vector<Json> lines = lines_of(file_of("m-fp32/data/full").text);
  EXPECT_EQ(lines[0].at("reference"), Json({"yes", "no"}));
  EXPECT_EQ(lines[0].at("votes"), Json({"yes", "no", "yes"}));
  EXPECT_EQ(lines[0].at("options"), Json({"yes", "", "no"}));
  EXPECT_EQ(lines[0].at("group"), "page 1");
}

TEST_F(PredictionsTest, MmVetFormIsOneObjectOfTexts) {
  run(config());
  const PredictionFile file = file_of("m-fp32/data/full", "mm-vet");
  EXPECT_EQ(file.name, "m-fp32__data__full.json");
  const auto object = nlohmann::ordered_json::parse(file.text);
  Ids keys;
  for (const auto& [key, value] : object.items()) {
    keys.push_back(key);
    EXPECT_TRUE(value.get<std::string>().starts_with("word0 word1 "));
  }
  EXPECT_EQ(keys, (Ids{"v1_7", "v1_007", "v1_3"}));
}

TEST_F(PredictionsTest, LlavaFormIsItsAnswers) {
  run(config());
  keep({{.id = "7",
         .question = "<image>\nWhat is it?",
         .answer = "a",
         .references = {},
         .categories = {},
         .images = {"x.png"},
         .problem = ""},
        {.id = "007",
         .question = "What is it?\n<image>",
         .answer = "a",
         .references = {},
         .categories = {},
         .images = {"x.png"},
         .problem = ""}});
  const PredictionFile file = file_of("m-fp32/data/elastic/0.5", "llava");
  const std::vector<Json> lines = lines_of(file.text);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].at("question_id"), 7);
  EXPECT_EQ(lines[1].at("question_id"), "007") << "no number that would lose its zeros";
  EXPECT_EQ(lines[0].at("prompt"), "What is it?");
  EXPECT_EQ(lines[1].at("prompt"), "What is it?");
  EXPECT_EQ(lines[0].at("model_id"), "m-fp32/elastic/0.5");
  EXPECT_EQ(lines[0].at("metadata"), Json::object());
  EXPECT_EQ(lines[0].size(), 6U);
  EXPECT_EQ(lines[0].at("answer_id").get<std::string>().size(), 32U);
  EXPECT_NE(lines[0].at("answer_id"), lines[1].at("answer_id"));
  EXPECT_EQ(file_of("m-fp32/data/elastic/0.5", "llava").text, file.text);
}

TEST_F(PredictionsTest, CellsAreSelected) {
  run(config("[elastic, h2o]"));
  const Predictions predictions(output_);
  const auto ids = [&](const CellSelection& selection) {
    Ids chosen;
    for (const Cell& cell : predictions.select(selection)) chosen.push_back(cell.id);
    return chosen;
  };
  EXPECT_EQ(ids({}), (Ids{"m-fp32/data/elastic/0.2", "m-fp32/data/elastic/0.5",
                          "m-fp32/data/h2o/0.2", "m-fp32/data/h2o/0.5"}));
  CellSelection h2o;
  h2o.strategy = "h2o";
  h2o.budget = "0.20";
  EXPECT_EQ(ids(h2o), Ids{"m-fp32/data/h2o/0.2"});
  CellSelection hidden;
  hidden.id = "m-fp32/data/(full)";
  EXPECT_EQ(ids(hidden), Ids{"m-fp32/data/(full)"});
  EXPECT_EQ(predictions.write(predictions.select(hidden)[0], prediction_form("jsonl")).name,
            "m-fp32__data___full_.jsonl");

  const std::string out = output_.string();
  CellSelection wrong;
  wrong.id = "m-fp32/data/elastic/0.3";
  EXPECT_ERROR(ids(wrong), out +
                               ": has no cell 'm-fp32/data/elastic/0.3'; did you mean "
                               "'m-fp32/data/elastic/0.2'?");
  wrong = {};
  wrong.strategy = "elastci";
  EXPECT_ERROR(ids(wrong), out + ": has no strategy 'elastci'; did you mean 'elastic'?");
  wrong = {};
  wrong.budget = "0.9";
  EXPECT_ERROR_CONTAINS(ids(wrong), out + ": has no budget '0.9'; did you mean '0.");
  wrong = {};
  wrong.model = "m";
  EXPECT_ERROR_CONTAINS(ids(wrong), out + ": has no model 'm'; ");
  wrong = {};
  wrong.data = "dota";
  EXPECT_ERROR(ids(wrong), out + ": has no data set 'dota'; did you mean 'data'?");
  wrong = {};
  wrong.strategy = "h2o";
  wrong.budget = "1";
  EXPECT_ERROR(ids(wrong), out + ": no cell has strategy 'h2o', budget '1'");
}

TEST_F(PredictionsTest, SamplesWithoutATextAreNamed) {
  plan_.failing = {{"m-fp32/data/h2o/0.2", "007"}};
  plan_.crash_at = 2;
  EXPECT_THROW(run(config()), Crash);
  const PredictionFile file = file_of("m-fp32/data/h2o/0.2");
  EXPECT_EQ(file.missing, (Ids{"007 (no attention left)", "v1_3 (not evaluated yet)"}));
  EXPECT_EQ(lines_of(file.text).size(), 1U);
  EXPECT_EQ(file_of("m-fp32/data/h2o/0.5").missing, Ids{"v1_3 (not evaluated yet)"});
  keep({{.id = "unknown",
         .question = "q",
         .answer = "a",
         .references = {},
         .categories = {},
         .images = {},
         .problem = "no image x.png"}});
  EXPECT_ERROR(file_of("m-fp32/data/full"),
               output_.string() +
                   ": m-fp32/data/full has no text of any sample; first: unknown (no "
                   "image x.png)");
}

TEST_F(PredictionsTest, FoldersWithoutTextsAreRefused) {
  run(config());
  std::filesystem::remove(output_ / "samples.jsonl");
  EXPECT_ERROR(Predictions{output_},
               output_.string() +
                   ": holds no samples.jsonl: it was made before samples were kept; "
                   "run the sweep with --resume, which adds it");
  run(config(), /*resume=*/true);
  EXPECT_EQ(file_of("m-fp32/data/full").missing.size(), 0U);
  std::filesystem::remove_all(output_);
  run(config("[full, elastic]", "metrics: {text: [], agreement: false}\n"));
  EXPECT_ERROR(Predictions{output_},
               output_.string() +
                   ": its sweep wrote no texts: no text metric and no agreement was "
                   "asked for; run one with --predict-only");
  EXPECT_ERROR(Predictions{folder_.path()},
               folder_.path().string() + ": holds no sweep (no sweep.json)");
}

TEST_F(PredictionsTest, AllShownCellsGoIntoAFolder) {
  run(config("[elastic]"));
  const std::vector<PredictionFile> files = write_predictions(output_);
  ASSERT_EQ(files.size(), 2U);
  for (const PredictionFile& file : files)
    EXPECT_EQ(read_file(output_ / "predictions" / file.name), file.text);
}

TEST_F(PredictionsTest, PredictOnlySwitchesMetricsOff) {
  const std::string metrics = "metrics: {text: [rougeL], reference: dataset}\n";
  SweepOverrides overrides;
  overrides.output = output_;
  overrides.predict_only = true;
  const SweepConfig predict = parse_sweep(
      "name: test\nmodels: {path: m}\ndata: {path: " + data_.string() +
          ", name: data}\nstrategies: [full, elastic]\nbudgets: {keep: 0.2}\n" + metrics,
      "s.yaml", overrides);
  EXPECT_TRUE(predict.evaluation().generate);
  EXPECT_FALSE(predict.evaluation().perplexity);
  EXPECT_FALSE(predict.evaluation().agreement);
  EXPECT_TRUE(predict.metrics.text.empty());
  // What is stored says the same.
  EXPECT_EQ(parse_sweep(predict.json(), "stored").json(), predict.json());
  EXPECT_NE(predict.records_hash(), config("[full, elastic]", metrics).records_hash());
  run(predict);
  const StoredSweep stored = read_stored_sweep(output_);
  const Record* record = stored.records.find("m-fp32/data/elastic/0.2", "7");
  ASSERT_NE(record, nullptr);
  EXPECT_TRUE(record->scores.empty());
  EXPECT_EQ(file_of("m-fp32/data/elastic/0.2").missing.size(), 0U);
  plan_ = FakePlan{};
  EXPECT_EQ(run(predict, /*resume=*/true).exit_code(), 0);
  EXPECT_TRUE(plan_.evaluated.empty());
  EXPECT_ERROR(config("[full]", "predict_only: true\ncells: one-by-one\n"),
               "s.yaml:8: key 'cells' one-by-one times perplexity alone, and predict_only switches "
               "it off");
}

TEST(PredictionForm, UnknownNamesAreRefused) {
  EXPECT_STREQ(prediction_form("llava").name, "llava");
  EXPECT_ERROR(prediction_form("mmvet"), "form 'mmvet' is not known; did you mean 'mm-vet'?");
}

}  // namespace
}  // namespace elastikv
