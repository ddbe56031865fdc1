#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/paths.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

const char* const kGrids = "tests/fixtures/fixture-llava-grids";
const char* const kTable3 = "tests/fixtures/fixture-llava-table3";
const char* const kBench = "tests/fixtures/fixture-llava-bench";
const char* const kOverrideHint =
    "--model, --data and --strategy PUBLISHED=OURS say what stands for what";

/// Runs in the project's root, so that the folders' names in outputs are the same everywhere.
class CompareVerb : public testing::Test {
 protected:
  CompareVerb() : before_(std::filesystem::current_path()) {
    std::filesystem::current_path(source_path());
  }
  ~CompareVerb() override { std::filesystem::current_path(before_); }

  static ProgramResult compare(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "compare");
    return run_elastikv(arguments);
  }
  static void expect_text(const std::vector<std::string>& arguments, const std::string& expected) {
    const ProgramResult result = compare(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    EXPECT_EQ(result.output, read_file("tests/fixtures/expected/" + expected));
    EXPECT_NE(result.errors.find(": FIXTURE: made-up records, not a measurement\n"),
              std::string::npos)
        << result.errors;
  }
  static void refused(const std::vector<std::string>& arguments, const std::string& message) {
    const ProgramResult result = compare(arguments);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.output, "");
    EXPECT_EQ(result.errors, "error: " + message + "\n");
  }

 private:
  std::filesystem::path before_;
};

TEST_F(CompareVerb, Table3) {
  expect_text({kTable3, "--with", "elastic-cache-table3"}, "table3.md");
}

TEST_F(CompareVerb, TheManualShowsWhatItPrints) {
  std::set<std::string> printed;
  std::istringstream expected(read_file("tests/fixtures/expected/table3.md"));
  for (std::string line; std::getline(expected, line);) printed.insert(line);
  std::istringstream manual(read_file("docs/compare.md"));
  bool inside = false;  // the block that follows the command
  int64_t lines = 0;
  for (std::string line; std::getline(manual, line);) {
    if (line.starts_with("How to read it")) break;
    if (inside && !line.empty() && line != "```") {
      EXPECT_EQ(printed.count(line), 1U) << line;
      ++lines;
    }
    inside = inside || line.starts_with("gives, with some rows left out");
  }
  EXPECT_GT(lines, 15);
}

TEST_F(CompareVerb, BothGridsOfPrefixKvAndTheDifferencesOfFigure2) {
  expect_text({kGrids, "--with", "prefixkv-llava-description,prefixkv-mm-vet"}, "grids.md");
  expect_text({kGrids, "--with", "elastic-cache-fig2"}, "fig2.md");
}

TEST_F(CompareVerb, Speeds) {
  expect_text({kBench, "--with", "elastic-cache-table2", "--with", "prefixkv-latency"},
              "speeds.md");
}

TEST_F(CompareVerb, WithoutATableAllThatMatchAreUsed) {
  const ProgramResult result = compare({kGrids, kBench, "--format", "json"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  const auto json = nlohmann::json::parse(result.output);
  std::vector<std::string> ids;
  for (const auto& table : json.at("tables")) ids.push_back(table.at("id"));
  // The grids' 13B has `elastic` at 0.5 on the descriptions, which is a row of Table 3 as well.
  const std::vector<std::string> expected{"elastic-cache-fig2",         "elastic-cache-table2",
                                          "elastic-cache-table3",       "prefixkv-latency",
                                          "prefixkv-llava-description", "prefixkv-mm-vet"};
  EXPECT_EQ(ids, expected);
}

TEST_F(CompareVerb, AnotherModelMayStandBesideTable3) {
  // As results of StampVLM would: the labels of configs/stampvlm/table3.yaml, another model.
  const TemporaryFolder folder;
  std::string header = read_file(std::string(kTable3) + "/sweep.json");
  std::string records = read_file(std::string(kTable3) + "/records.jsonl");
  const auto rename = [](std::string& text, const std::string& from, const std::string& to) {
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
      text.replace(at, from.size(), to);
      at += to.size();
    }
  };
  for (std::string* text : {&header, &records}) {
    rename(*text, "llava-1.5-13b-hf", "stampvlm");
    rename(*text, "llava-description", "stamp-scenes");
  }
  folder.write("run/sweep.json", header);
  folder.write("run/records.jsonl", records);
  const std::string run = (folder.path() / "run").string();
  refused({run, "--with", "elastic-cache-table3"},
          std::string("elastic-cache-table3: nothing of it matches; it has models LLaVA-1.5-13B; "
                      "data LLaVA-Description; strategies discard position: most recent, discard "
                      "position: frequency, discard position: fixed point, merging: clustering, "
                      "merging: eviction, merging: merging, granularity: shared, granularity: "
                      "head-wise, granularity: layer-wise, importance: moving average, importance: "
                      "mean, importance: sum; budgets 0.5; the run has models stampvlm; data "
                      "stamp-scenes; strategies full, top-k, top-k-discard-oldest, "
                      "top-k-discard-lowest, top-k-evict, top-k-heads, top-k-mean, released, "
                      "released-evict, released-mean; budgets 1, 0.5; ") +
              kOverrideHint);
  const ProgramResult result =
      compare({run, "--with", "elastic-cache-table3", "--model", "LLaVA-1.5-13B=stampvlm", "--data",
               "LLaVA-Description=stamp-scenes"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_NE(result.output.find("- **another model**: ours stampvlm, theirs LLaVA-1.5-13B\n"
                               "- **another data set**: ours stamp-scenes, theirs "
                               "LLaVA-Description\n"),
            std::string::npos)
      << result.output;
}

TEST_F(CompareVerb, WritesAFileAndCsv) {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "out.csv").string();
  const ProgramResult result =
      compare({kTable3, "--with", "elastic-cache-table3", "--format", "csv", "--output", file});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(result.output, "");
  const std::string csv = read_file(file);
  EXPECT_TRUE(csv.starts_with("table,published_model,published_data,row,minus,budget,"));
  EXPECT_NE(csv.find("elastic-cache-table3,LLaVA-1.5-13B,LLaVA-Description,granularity: "
                     "shared,,0.5,,,,ppl,"),
            std::string::npos)
      << csv;
  EXPECT_EQ(compare({kTable3, "--with", "elastic-cache-table3", "--format", "csv"}).output, csv);
}

TEST_F(CompareVerb, ListsTheTables) {
  const ProgramResult result = compare({"--list"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.output.find("  elastic-cache-table3        Elastic Cache, Table 3: ablations on "
                               "LLaVA-Description at budget 0.5\n"
                               "                              12 numbers of LLaVA-1.5-13B, beside "
                               "sweeps\n"),
            std::string::npos)
      << result.output;
}

TEST_F(CompareVerb, BadUsageIsOneLine) {
  refused({}, "a run is required, or --list (see elastikv compare --help)");
  refused({"--list", kGrids}, "--list shows the published tables and takes no runs");
  refused({kGrids, "--with", "prefixkv-mmvet"},
          "no published table 'prefixkv-mmvet'; did you mean 'prefixkv-mm-vet'?");
  refused({kGrids, "--with", ""}, "--with: the value is empty (see elastikv compare --help)");
  refused({kGrids, "--with", "none/x.yaml"}, "none/x.yaml: cannot open: No such file or directory");
  refused({kGrids, "--with", "prefixkv-mm-vet,prefixkv-mm-vet"},
          "--with names the table 'prefixkv-mm-vet' twice");
  refused({kGrids, kGrids}, std::string("the run ") + kGrids + " is named twice");
  refused({"tests"}, "tests: holds neither a sweep (sweep.json) nor a benchmark (bench.json)");
  refused({"nowhere"}, "nowhere: holds neither a sweep (sweep.json) nor a benchmark (bench.json)");
  refused({kGrids, "--model", "LLaVA-1.5-7B"}, "--model 'LLaVA-1.5-7B': needs PUBLISHED=OURS");
  refused({kGrids, "--with", "prefixkv-mm-vet", "--strategy", "Elastik=elastic"},
          "--strategy Elastik=elastic: no table has 'Elastik'; they have: Local, H2O, Elastic, "
          "PrefixKV");
  refused({kGrids, "--with", "prefixkv-mm-vet", "--data", "MM-Vet=mmvet"},
          "--data MM-Vet=mmvet: no run has 'mmvet'; they have: llava-description, mm-vet");
  refused({kGrids, "--with", "elastic-cache-table2"},
          "elastic-cache-table2: stands beside benchmarks (bench.json), of which no run is one");
  refused({kBench, "--with", "prefixkv-mm-vet"},
          "prefixkv-mm-vet: stands beside sweeps (sweep.json), of which no run is one");
  refused({kGrids, "--format", "html"},
          "--format: html not in {md,csv,json} (see elastikv compare --help)");
  const ProgramResult unwritable = compare({kGrids, "--output", "/nowhere/at/all.md"});
  EXPECT_EQ(unwritable.exit_code, 1);
  EXPECT_EQ(unwritable.output, "");
  EXPECT_NE(unwritable.errors.find("error: /nowhere/at"), std::string::npos) << unwritable.errors;
}

TEST_F(CompareVerb, FixturesAreWhatTheirScriptWrites) {
  if (run_command({"python3", "--version"}).exit_code != 0) GTEST_SKIP() << "no python3";
  const TemporaryFolder folder;
  const std::string script =
      folder.write("make_published.py", read_file("tests/fixtures/make_published.py")).string();
  ASSERT_EQ(run_command({"python3", script}).exit_code, 0);
  for (const std::string name :
       {"fixture-llava-grids/sweep.json", "fixture-llava-grids/records.jsonl",
        "fixture-llava-grids/samples.jsonl", "fixture-llava-table3/sweep.json",
        "fixture-llava-table3/records.jsonl", "fixture-llava-table3/samples.jsonl",
        "fixture-llava-bench/bench.json"}) {
    EXPECT_EQ(read_file(folder.path() / name), read_file("tests/fixtures/" + name)) << name;
  }
}

}  // namespace
}  // namespace elastikv
