#include "sweep/details.h"

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/files.h"
#include "support/expect_error.h"
#include "support/paths.h"
#include "support/temporary_folder.h"
#include "sweep/records.h"
#include "sweep/runner.h"
#include "unit/sweep/fake_engines.h"

namespace elastikv {
namespace {

/// What a sweep of four samples and two compressed cells leaves beside its records.
class Details : public testing::Test {
 protected:
  Details() {
    std::string lines;
    for (int i = 0; i < 4; ++i) {
      lines += "{\"id\": \"s" + std::to_string(i) + "\", \"question\": \"What is ü " +
               std::to_string(i) + "?\", \"answer\": \"answer " + std::to_string(i) + "\"}\n";
    }
    data_ = folder_.write("data.jsonl", lines);
    output_ = folder_.path() / "out";
  }

  SweepConfig config(const std::string& more = "") const {
    SweepOverrides overrides;
    overrides.output = output_;
    return parse_sweep(
        "name: test\nmodels: {path: m}\ndata: {path: " + data_.string() +
            ", name: data}\nstrategies: [full, elastic, h2o]\nbudgets: {keep: 0.2}\n" + more,
        "s.yaml", overrides);
  }
  SweepOutcome run(const SweepConfig& config, bool resume = false) {
    std::FILE* log = std::fopen((folder_.path() / "log").c_str(), "w");
    Progress progress(log);
    RunOptions options;
    options.resume = resume;
    struct Close {
      std::FILE* file;
      ~Close() { std::fclose(file); }
    } close{log};
    return run_sweep(config, options, FakeEngines(plan_), progress);
  }
  std::string text(const std::string& name) const { return read_file(output_ / name); }
  std::string log() const { return read_file(folder_.path() / "log"); }
  std::vector<std::string> samples_of_details() const {
    std::vector<std::string> ids;
    for (const StoredDetail& detail : read_stored_sweep(output_).details)
      ids.push_back(detail.sample);
    return ids;
  }

  TemporaryFolder folder_;
  std::filesystem::path data_;
  std::filesystem::path output_;
  FakePlan plan_;
};

using Ids = std::vector<std::string>;

TEST_F(Details, AreKeptOfTheFirstSamples) {
  EXPECT_EQ(run(config()).exit_code(), 0);
  EXPECT_EQ(plan_.looked_at, (Ids{"s0", "s1"}));
  const StoredSweep stored = read_stored_sweep(output_);
  ASSERT_EQ(stored.details.size(), 2U);
  const StoredDetail& second = stored.details[1];
  EXPECT_EQ(second.model, "m-fp32");
  EXPECT_EQ(second.data, "data");
  EXPECT_EQ(second.sample, "s1");
  EXPECT_EQ(second.cells,
            (Ids{"m-fp32/data/full", "m-fp32/data/elastic/0.2", "m-fp32/data/h2o/0.2"}));
  EXPECT_EQ(second.detail.prompt_tokens, 40);
  EXPECT_EQ(second.detail.image_begin, 3);
  EXPECT_EQ(second.detail.image_end, 19);
  EXPECT_EQ(second.detail.grid_rows, 4);
  EXPECT_EQ(second.detail.thumbnail, "iVBO");
  EXPECT_EQ(second.detail.importance,
            std::vector<std::vector<float>>(2, std::vector<float>(40, 0.125F)));
  ASSERT_EQ(second.detail.kept.size(), 3U);
  EXPECT_TRUE(second.detail.kept[0].empty());
  EXPECT_EQ(second.detail.kept[2],
            (std::vector<std::vector<std::vector<int64_t>>>{{{0, 1, 3}}, {{0, 1, 3}}}));
  // A line reads back to itself.
  EXPECT_EQ(text("details.jsonl"),
            detail_line(stored.details[0]) + "\n" + detail_line(second) + "\n");
}

TEST_F(Details, AreLeftOutWhenNoneAreWanted) {
  EXPECT_EQ(run(config("details: {samples: 0}\n")).exit_code(), 0);
  EXPECT_TRUE(plan_.looked_at.empty());
  EXPECT_FALSE(std::filesystem::exists(output_ / "details.jsonl"));
  const std::string without = text("records.jsonl");
  std::filesystem::remove_all(output_);
  run(config("details: {samples: 3}\n"));
  EXPECT_EQ(plan_.looked_at.size(), 3U);
  EXPECT_EQ(text("records.jsonl"), without);
}

TEST_F(Details, MayBeMoreThanThereAreSamples) {
  run(config("details: {samples: 9}\n"));
  EXPECT_EQ(samples_of_details(), (Ids{"s0", "s1", "s2", "s3"}));
}

TEST_F(Details, AreNotRepeatedOnResumeAndMissingOnesAreMade) {
  run(config());
  const std::string two = text("details.jsonl");
  plan_ = FakePlan{};
  run(config(), /*resume=*/true);
  EXPECT_TRUE(plan_.looked_at.empty());
  EXPECT_EQ(plan_.opened, 0);
  EXPECT_EQ(text("details.jsonl"), two);
  // Other numbers of details are the same sweep.
  run(config("details: {samples: 3}\n"), /*resume=*/true);
  EXPECT_EQ(plan_.looked_at, Ids{"s2"});
  EXPECT_TRUE(plan_.evaluated.empty());
  EXPECT_EQ(samples_of_details(), (Ids{"s0", "s1", "s2"}));
  // As in a folder made before there were any.
  std::filesystem::remove(output_ / "details.jsonl");
  run(config(), /*resume=*/true);
  EXPECT_EQ(text("details.jsonl"), two);
}

TEST_F(Details, AnyCutOfTheFileResumesToTheSameDetails) {
  run(config());
  const std::string whole = text("details.jsonl");
  const size_t first = whole.find('\n');
  for (const size_t cut : {size_t{0}, size_t{1}, first, first + 1, first + 20, whole.size() - 1}) {
    folder_.write("out/details.jsonl", whole.substr(0, cut));
    // Reading leaves the torn line out.
    EXPECT_EQ(samples_of_details().size(), cut > first ? 1U : 0U) << cut;
    run(config(), /*resume=*/true);
    EXPECT_EQ(text("details.jsonl"), whole) << "cut at " << cut;
  }
}

TEST_F(Details, OfAnEarlierSweepWithoutRecordsAreDropped) {
  run(config());
  const std::string whole = text("details.jsonl");
  std::filesystem::remove(output_ / "records.jsonl");
  run(config());
  EXPECT_EQ(text("details.jsonl"), whole);
}

TEST_F(Details, DamagedLineIsNamed) {
  run(config());
  const std::string file = (output_ / "details.jsonl").string();
  const std::string whole = text("details.jsonl");
  folder_.write("out/details.jsonl", "{]\n" + whole);
  EXPECT_ERROR(read_stored_sweep(output_), file + ":1: damaged: not valid JSON");
  EXPECT_ERROR(run(config(), /*resume=*/true), file + ":1: damaged: not valid JSON");
  std::string fewer = whole;
  fewer.replace(fewer.find("\"m-fp32/data/full\","), 19, "");
  folder_.write("out/details.jsonl", fewer);
  EXPECT_ERROR(read_stored_sweep(output_), file + ":1: damaged: 3 kept sets of 2 cells");
}

TEST_F(Details, AreInTheOrderOfTheSamplesWhateverTheOrderOfTheFile) {
  run(config("details: {samples: 3}\n"));
  const StoredSweep stored = read_stored_sweep(output_);
  folder_.write("out/details.jsonl", detail_line(stored.details[2]) + "\n" +
                                         detail_line(stored.details[0]) + "\n" +
                                         detail_line(stored.details[1]) + "\n");
  EXPECT_EQ(samples_of_details(), (Ids{"s0", "s1", "s2"}));
  // A sweep that uses fewer samples now shows no others.
  SweepConfig fewer = config();
  fewer.data[0].limit = 1;
  run(fewer, /*resume=*/true);
  EXPECT_EQ(samples_of_details(), Ids{"s0"});
}

TEST_F(Details, ThatCannotBeMadeFailNothing) {
  plan_.unseen = {"s0"};
  EXPECT_EQ(run(config()).exit_code(), 0);
  EXPECT_EQ(samples_of_details(), Ids{"s1"});
  EXPECT_EQ(read_stored_sweep(output_).records.size(), 12U);
  EXPECT_NE(log().find("no details of data sample s0: s0: the image is torn\n"), std::string::npos)
      << log();
  EXPECT_EQ(log().find("and gone"), std::string::npos);
}

TEST_F(Details, NegativeNumbersAndUnknownKeysAreRefused) {
  EXPECT_ERROR_CONTAINS(config("details: {samples: -1}\n"), "s.yaml:6: key 'details.samples'");
  EXPECT_ERROR(config("details: {sample: 1}\n"),
               "s.yaml:6: unknown key 'details.sample'; did you mean 'samples'?");
}

TEST_F(Details, NumberIsStoredButChangesNoRecord) {
  const SweepConfig three = config("details: {samples: 3}\n");
  EXPECT_EQ(parse_sweep(three.json(), "stored").detail_samples, 3);
  EXPECT_EQ(config().detail_samples, 2);
  EXPECT_EQ(three.records_hash(), config().records_hash());
}

TEST_F(Details, SamplesAreKeptBesideTheRecords) {
  run(config());
  EXPECT_TRUE(text("samples.jsonl")
                  .starts_with(R"({"data":"data","id":"s0","question":"What is ü 0?",)"
                               R"("answer":"answer 0","images":[],"cluster":")"));
  const StoredSweep stored = read_stored_sweep(output_);
  ASSERT_EQ(stored.samples.at("data").size(), 4U);
  EXPECT_FALSE(stored.samples.at("data")[0].cluster.empty());
  EXPECT_NE(stored.samples.at("data")[0].cluster, stored.samples.at("data")[1].cluster);
  EXPECT_EQ(stored.samples_of("m-fp32", "data"), &stored.samples.at("data"));
  EXPECT_EQ(stored.samples_of("m-fp32", "other"), nullptr);
  EXPECT_TRUE(stored.model_samples.empty());
}

TEST_F(Details, MoreSamplesReplaceTheFileOfSamples) {
  SweepConfig few = config();
  few.data[0].limit = 1;
  run(few);
  EXPECT_EQ(read_stored_sweep(output_).samples.at("data").size(), 1U);
  run(config(), /*resume=*/true);
  EXPECT_EQ(read_stored_sweep(output_).samples.at("data").size(), 4U);
  EXPECT_EQ(samples_of_details(), (Ids{"s0", "s1"}));
}

TEST_F(Details, WindowsOfTokensAreKeptAsEachModelReadsThem) {
  const std::string texts = source_path("tests/unit/text/data/");
  std::string words;
  for (int i = 0; i < 60; ++i) words += "caterpillar's hookah, ";
  const auto book = folder_.write("book.txt", words);
  SweepOverrides overrides;
  overrides.output = output_;
  run(parse_sweep("name: test\nmodels: [{path: " + texts + "smollm2-like}, {path: " + texts +
                      "llama-like}]\ndata: {path: " + book.string() +
                      ", name: data, prompt_tokens: 20, answer_tokens: 10, limit: 1}\n"
                      "strategies: [full]\n",
                  "s.yaml", overrides));
  const StoredSweep stored = read_stored_sweep(output_);
  ASSERT_EQ(stored.model_samples.size(), 1U);
  const std::vector<StoredSample>& first = *stored.samples_of("smollm2-like-fp32", "data");
  const std::vector<StoredSample>& second = *stored.samples_of("llama-like-fp32", "data");
  EXPECT_EQ(&first, &stored.samples.at("data"));
  EXPECT_EQ(first[0].id, "tokens-0");
  EXPECT_EQ(second[0].id, "tokens-0");
  EXPECT_NE(first[0].answer, second[0].answer);
  EXPECT_TRUE(words.starts_with(first[0].question)) << first[0].question;
  EXPECT_NE(words.find(second[0].answer), std::string::npos) << second[0].answer;
}

TEST(Sample, AcceptsItsAnswerOrAllOfItsReferences) {
  Sample sample;
  sample.answer = "a";
  EXPECT_EQ(sample.accepted(), Ids{"a"});
  sample.references = {"b", "a"};
  EXPECT_EQ(sample.accepted(), (Ids{"b", "a"}));
}

TEST(StoredSample, KeepsAllThatAnExportNeeds) {
  Sample sample;
  sample.id = "v1_0";
  sample.images = {"images/a.png", "b.png"};
  sample.question = "q";
  sample.answer = "a";
  sample.references = {"a", "b"};
  sample.votes = {"a", "b", "a"};
  sample.options = {"a", "", "b"};
  sample.categories = {"ocr", "math"};
  sample.group = "page 1";
  sample.problem = "no image images/a.png";
  EXPECT_EQ(sample_line("mm-vet", stored_sample(sample), "m-fp32"),
            R"({"model":"m-fp32","data":"mm-vet","id":"v1_0","question":"q","answer":"a",)"
            R"("references":["a","b"],"votes":["a","b","a"],"options":["a","","b"],)"
            R"("categories":["ocr","math"],"images":["images/a.png","b.png"],"group":"page 1",)"
            R"("problem":"no image images/a.png"})");
}

}  // namespace
}  // namespace elastikv
