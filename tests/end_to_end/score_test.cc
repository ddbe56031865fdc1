#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/version.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

constexpr std::string_view kLines =
    R"({"id": 1, "reference": "The cat sat on the mat.", "candidate": "The cat is on the mat."})"
    "\n\n"
    R"({"id": "b, \"c\"", "reference": "First sentence.\nSecond Sentence.", "candidate": "Second sentence.\nFirst Sentence.", "more": []})"
    "\r\n"
    R"({"id": 3, "reference": "a dog", "candidate": ""})";

std::string signature_end(const std::string& resampling = "ci:bootstrap-t|bs:1000|seed:12345") {
  return "|agg:mean|" + resampling + "|impl:elastikv-" + std::string(version()) + "|ref:given";
}

TEST(Score, Table) {
  const TemporaryFolder folder;
  const auto file = folder.write("pairs.jsonl", kLines);
  const ProgramResult result = run_elastikv(
      {"score", "--metrics", "rouge-l-pltrdy,rougeL,rougeLsum", file.string(), "--per-line"});
  EXPECT_EQ(result.errors, "");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(
      result.output,
      "id      rouge-l-pltrdy  rougeL  rougeLsum\n"
      "1               0.8333  0.8333     0.8333\n"
      "b, \"c\"          1.0000  0.5000     1.0000\n"
      "3               0.0000  0.0000     0.0000\n"
      "\n"
      "metric          mean F  95 % interval         n\n"
      "rouge-l-pltrdy  0.6111  [0.0000, 1.0000]     3\n"
      "rougeL          0.4444  [0.0000, 1.0000]     3\n"
      "rougeLsum       0.6111  [0.0000, 1.0000]     3\n"
      "\n"
      "rouge-l-pltrdy type:f|tok:pltrdy-1.0.1|exclusive:yes|sent:dot|empty:zero" +
          signature_end() + "\nrougeL type:f|tok:google[a-z0-9]|stem:no|lsum:newline" +
          signature_end() + "\nrougeLsum type:f|tok:google[a-z0-9]|stem:no|lsum:newline" +
          signature_end() +
          "\nrouge-l-pltrdy: in 1 of 3 lines a text has not a word: no score, counted as 0\n"
          "rougeL: in 1 of 3 lines a text has not a word of a-z and 0-9: no score, counted as "
          "0\nrougeLsum: in 1 of 3 lines a text has not a word of a-z and 0-9: no score, "
          "counted as 0\n");
}

TEST(Score, AllMetricsWithoutPerLineByDefault) {
  const ProgramResult result = run_elastikv({"score", "-"}, kLines);
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(result.output.find("metric          mean F"), 0U) << result.output;
  EXPECT_NE(result.output.find("\nrougeLsum-stem  0.6111"), std::string::npos) << result.output;
}

TEST(Score, Json) {
  const ProgramResult result = run_elastikv(
      {"score", "-", "--format", "json", "--metrics=rougeL,rouge-l-pltrdy", "--seed", "7"}, kLines);
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  const nlohmann::json report = nlohmann::json::parse(result.output);
  const nlohmann::json& total = report["metrics"]["rougeL"];
  EXPECT_DOUBLE_EQ(total["mean"].get<double>(), (5.0 / 6 + 0.5) / 3);
  EXPECT_EQ(total["n"], 3);
  EXPECT_EQ(total["ci"].size(), 2U);
  EXPECT_LT(total["ci"][0].get<double>(), total["mean"].get<double>());
  EXPECT_EQ(total["undefined"], 1);
  EXPECT_EQ(total["signature"], "rougeL type:f|tok:google[a-z0-9]|stem:no|lsum:newline" +
                                    signature_end("ci:bootstrap-t|bs:1000|seed:7"));
  EXPECT_EQ(report["metrics"]["rouge-l-pltrdy"]["undefined"], 1);
  ASSERT_EQ(report["lines"].size(), 3U);
  EXPECT_EQ(report["lines"][0]["id"], 1);
  EXPECT_EQ(report["lines"][1]["id"], "b, \"c\"");
  EXPECT_EQ(report["lines"][1]["rougeL"], (nlohmann::json{{"p", 0.5}, {"r", 0.5}, {"f", 0.5}}));
  EXPECT_EQ(report["lines"][2]["rouge-l-pltrdy"]["undefined"], true);
}

TEST(Score, Csv) {
  const ProgramResult result = run_elastikv(
      {"score", "-", "--format", "csv", "--metrics", "rougeL", "--bootstrap", "0"}, kLines);
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(result.output,
            "row,id,metric,p,r,f,ci_low,ci_high,n,undefined,signature\n"
            "line,1,rougeL,0.8333333333333334,0.8333333333333334,0.8333333333333334,,,,0,\n"
            "line,\"b, \"\"c\"\"\",rougeL,0.5,0.5,0.5,,,,0,\n"
            "line,3,rougeL,0,0,0,,,,1,\n"
            "mean,,rougeL,,,0.4444444444444445,,,3,1,rougeL "
            "type:f|tok:google[a-z0-9]|stem:no|lsum:newline" +
                signature_end("bs:0") + "\n");
}

TEST(Score, LinesOfOneClusterAreResampledAsOne) {
  std::string lines;
  std::string clustered;
  for (int i = 0; i < 8; ++i) {
    const nlohmann::json line{
        {"id", i}, {"reference", "a b"}, {"candidate", i < 4 ? "a b" : "a z"}};
    nlohmann::json with = line;
    with["cluster"] = i < 4 ? "one picture" : "another";
    lines += line.dump() + "\n";
    clustered += with.dump() + "\n";
  }
  const auto score = [](const std::string& text) {
    const ProgramResult result =
        run_elastikv({"score", "-", "--metrics", "rouge1", "--format", "json"}, text);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return nlohmann::json::parse(result.output)["metrics"]["rouge1"];
  };
  const nlohmann::json apart = score(lines);
  const nlohmann::json together = score(clustered);
  EXPECT_EQ(apart["clusters"], 8);
  EXPECT_EQ(together["clusters"], 2);
  EXPECT_EQ(apart["mean"], together["mean"]);
  EXPECT_GT(apart["ci"][0], together["ci"][0]) << "two pictures say less than eight lines";
  const ProgramResult table = run_elastikv({"score", "-", "--metrics", "rouge1"}, clustered);
  EXPECT_NE(table.output.find("8 lines in 2 clusters, resampled as one each\n"), std::string::npos)
      << table.output;
}

TEST(Score, TextsInOtherScriptsHaveMetricsOfTheirOwn) {
  const std::string line = R"({"id": 1, "reference": "一只红色的猫", "candidate": "一只红色的猫"})";
  const ProgramResult result =
      run_elastikv({"score", "-", "--metrics", "rougeL,rougeL-characters"}, line);
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_NE(result.output.find("\nrougeL             0.0000"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("\nrougeL-characters  1.0000"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("\nrougeL: in 1 of 1 lines a text has not a word of a-z and 0-9"),
            std::string::npos);
  EXPECT_EQ(result.output.find("\nrougeL-characters: in"), std::string::npos);
}

TEST(Score, OneLineHasNoInterval) {
  const std::string line = R"({"id": 1, "reference": "a b", "candidate": "a"})";
  const ProgramResult json = run_elastikv({"score", "-", "--format", "json"}, line);
  EXPECT_EQ(json.exit_code, 0) << json.errors;
  const nlohmann::json report = nlohmann::json::parse(json.output);
  EXPECT_TRUE(report["metrics"]["rouge1"]["ci"].is_null());
  EXPECT_TRUE(report["metrics"]["rouge1"]["standard_error"].is_null());
  const ProgramResult table = run_elastikv({"score", "-", "--metrics", "rouge1"}, line);
  EXPECT_NE(table.output.find("rouge1  0.6667  -                    1\n"), std::string::npos)
      << table.output;
}

TEST(Score, WritesToAFile) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "scores.csv";
  const ProgramResult result =
      run_elastikv({"score", "-", "--format", "csv", "--output", file.string()}, kLines);
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(result.output, "");
  EXPECT_EQ(read_file(file).find("row,id,metric,"), 0U);
}

/// The program must refuse `input` with exactly this message and print no results.
void expect_refused(std::string_view input, const std::string& message) {
  const ProgramResult result = run_elastikv({"score", "-"}, input);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.output, "");
  EXPECT_EQ(result.errors, "error: " + message + "\n");
}

TEST(Score, BadInputNamesTheLine) {
  const std::string good = R"({"id": "a", "reference": "x", "candidate": "y"})"
                           "\n";
  expect_refused("", "standard input: holds no lines to score");
  expect_refused(good + "\n" + good,
                 "standard input:3: key 'id' is \"a\" like that of line 1; ids must differ");
  expect_refused(good + R"({"id": "b", "reference": "x"})",
                 "standard input:2: key 'candidate' is missing (a string is needed)");
  expect_refused(R"({"reference": "x", "candidate": "y"})",
                 "standard input:1: key 'id' is missing (a string or a number is needed)");
  expect_refused(R"({"id": [1], "reference": "x", "candidate": "y"})",
                 "standard input:1: key 'id' is [1], a string or a number is needed");
  expect_refused(R"({"id": 1, "reference": 5, "candidate": "y"})",
                 "standard input:1: key 'reference' is 5, a string is needed");
  expect_refused(good + "{\"id\": }",
                 "standard input:2:8: not valid JSON: unexpected '}'; expected '[', '{', or a "
                 "literal");
  expect_refused("{\"id\": " + std::string(300, '[') + std::string(300, ']') + "}",
                 "standard input:1: not read: nested deeper than 256 levels");
  expect_refused("{\"id\": 1e999}", "standard input:1: not valid JSON (a number is out of range)");
  expect_refused("[1, 2]",
                 "standard input:1: each line must be an object with id, reference and candidate, "
                 "this is array");
  for (const char* malformed : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"})
    expect_refused(good + "{\"id\": \"" + malformed + "\"}", "standard input:2:9: not valid UTF-8");
}

TEST(Score, BestOfSeveralReferencesCounts) {
  const std::string lines = R"({"id": 1, "reference": ["a b c d", "x y"], "candidate": "x y"})"
                            "\n"
                            R"({"id": 2, "reference": ["a b"], "candidate": "a b"})";
  const ProgramResult result =
      run_elastikv({"score", "-", "--metrics", "rougeL", "--bootstrap", "0"}, lines);
  EXPECT_EQ(result.errors, "");
  EXPECT_EQ(result.output,
            "metric  mean F  95 % interval         n\n"
            "rougeL  1.0000  -                    2\n"
            "\n"
            "rougeL type:f|tok:google[a-z0-9]|stem:no|lsum:newline|agg:mean|bs:0|impl:elastikv-" +
                std::string(version()) + "|ref:best-of-given\n");
  expect_refused(R"({"id": 1, "reference": [], "candidate": "y"})",
                 "standard input:1: key 'reference' is an empty list, at least one string is "
                 "needed");
  expect_refused(R"({"id": 1, "reference": ["x", 5], "candidate": "y"})",
                 "standard input:1: key 'reference' is [\"x\",5], a list of strings is needed");
}

/// Lines as `export` writes them.
std::string exported(const std::string& strategy, const std::string& budget,
                     const std::string& candidate) {
  const auto line = [&](int id, const char* category) {
    return nlohmann::json{{"id", std::to_string(id)},
                          {"reference", "a b"},
                          {"candidate", id == 1 ? "a b" : candidate},
                          {"model", "m"},
                          {"strategy", strategy},
                          {"budget", budget},
                          {"category", nlohmann::json::parse(category)}}
               .dump() +
           "\n";
  };
  return line(1, R"(["ocr", "math"])") + line(2, R"("ocr")");
}

TEST(Score, SeveralFilesAreOneTable) {
  const TemporaryFolder folder;
  const auto full = folder.write("full.jsonl", exported("full", "1", "a b"));
  const auto elastic = folder.write("elastic.jsonl", exported("elastic", "0.2", "z"));
  const std::vector<std::string> options{"--metrics", "rouge1,rougeL", "--bootstrap", "0"};
  std::vector<std::string> arguments{"score", full.string(), elastic.string()};
  arguments.insert(arguments.end(), options.begin(), options.end());
  ProgramResult result = run_elastikv(arguments);
  EXPECT_EQ(result.errors, "");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output.substr(0, result.output.find("\n\n")),
            "| strategy | budget |   n | rouge1 | rougeL |\n"
            "| -------- | ------ | ---:| ------:| ------:|\n"
            "| full     | 1      |   2 | 1.0000 | 1.0000 |\n"
            "| elastic  | 0.2    |   2 | 0.5000 | 0.5000 |");
  // One line for each definition, not for each file.
  EXPECT_EQ(result.output.find("rouge1 type:f"), result.output.rfind("rouge1 type:f"));

  arguments.insert(arguments.begin() + 1, "--per-category");
  result = run_elastikv(arguments);
  EXPECT_EQ(result.output.substr(0, result.output.find("\n\n")),
            "| strategy | budget | category |   n | rouge1 | rougeL |\n"
            "| -------- | ------ | -------- | ---:| ------:| ------:|\n"
            "| full     | 1      | math     |   1 | 1.0000 | 1.0000 |\n"
            "| full     | 1      | ocr      |   2 | 1.0000 | 1.0000 |\n"
            "| full     | 1      | all      |   2 | 1.0000 | 1.0000 |\n"
            "| elastic  | 0.2    | math     |   1 | 1.0000 | 1.0000 |\n"
            "| elastic  | 0.2    | ocr      |   2 | 0.5000 | 0.5000 |\n"
            "| elastic  | 0.2    | all      |   2 | 0.5000 | 0.5000 |");

  // Files that their labels do not tell apart are named.
  result = run_elastikv({"score", full.string(), full.string(), "--metrics", "rougeL"});
  EXPECT_EQ(result.output.substr(0, 6), "| file") << result.output;
  EXPECT_NE(result.output.find("1.0000 [1.0000, 1.0000]"), std::string::npos) << result.output;
}

TEST(Score, SeveralFilesInOtherFormats) {
  const TemporaryFolder folder;
  const auto full = folder.write("full.jsonl", exported("full", "1", "a b"));
  const auto elastic = folder.write("elastic.jsonl", exported("elastic", "0.2", "z"));
  const ProgramResult json = run_elastikv({"score", full.string(), elastic.string(), "--format",
                                           "json", "--metrics", "rougeL", "--per-category"});
  EXPECT_EQ(json.exit_code, 0) << json.errors;
  const nlohmann::json report = nlohmann::json::parse(json.output);
  ASSERT_EQ(report.at("files").size(), 2U);
  const nlohmann::json& second = report["files"][1];
  EXPECT_EQ(second.at("file"), elastic.string());
  EXPECT_EQ(second.at("strategy"), "elastic");
  EXPECT_EQ(second.at("budget"), "0.2");
  EXPECT_FALSE(second.contains("data"));
  EXPECT_EQ(second.at("metrics").at("rougeL").at("mean"), 0.5);
  EXPECT_EQ(second.at("categories").at("math").at("rougeL").at("n"), 1);
  EXPECT_EQ(second.at("lines").size(), 2U);
  const ProgramResult csv =
      run_elastikv({"score", full.string(), elastic.string(), "--format", "csv", "--metrics",
                    "rougeL", "--bootstrap", "0", "--per-category"});
  EXPECT_EQ(csv.output.find("file,row,id,metric,p,r,f,ci_low,ci_high,n,undefined,signature\n"), 0U);
  EXPECT_NE(csv.output.find(fmt::format("\n{},line,2,rougeL,0,0,0,,,,0,\n", elastic.string())),
            std::string::npos)
      << csv.output;
  EXPECT_NE(csv.output.find(fmt::format("\n{},mean,,rougeL,,,0.5,,,2,0,", elastic.string())),
            std::string::npos)
      << csv.output;
  EXPECT_NE(csv.output.find(fmt::format("\n{},category,math,rougeL,,,1,,,1,0,", elastic.string())),
            std::string::npos)
      << csv.output;
}

TEST(Score, CategoriesOfOneFileFollowItsTable) {
  const ProgramResult result =
      run_elastikv({"score", "-", "--metrics", "rougeL", "--bootstrap", "0", "--per-category"},
                   exported("elastic", "0.2", "z"));
  EXPECT_EQ(result.output.substr(0, result.output.find("\n\nrougeL type")),
            "metric  mean F  95 % interval         n\n"
            "rougeL  0.5000  -                    2\n"
            "\n"
            "| category |   n | rougeL |\n"
            "| -------- | ---:| ------:|\n"
            "| math     |   1 | 1.0000 |\n"
            "| ocr      |   2 | 0.5000 |");
  const ProgramResult none = run_elastikv({"score", "-", "--per-category"}, kLines);
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_EQ(none.errors, "error: standard input: --per-category needs lines with a 'category'\n");
}

TEST(Score, BadUsageIsExitCodeOne) {
  const ProgramResult missing = run_elastikv({"score", "/nowhere/pairs.jsonl"});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_EQ(missing.errors,
            "error: /nowhere/pairs.jsonl: cannot open: No such file or directory\n");
  const ProgramResult metric = run_elastikv({"score", "-", "--metrics", "rougeL,rouge-L"}, kLines);
  EXPECT_EQ(metric.exit_code, 1);
  EXPECT_EQ(metric.errors, "error: metric 'rouge-L' is not known; did you mean 'rougeL'?\n");
  EXPECT_EQ(run_elastikv({"score"}).exit_code, 1);
  EXPECT_EQ(run_elastikv({"score", "-", "--format", "xml"}, kLines).exit_code, 1);
  EXPECT_EQ(run_elastikv({"score", "-", "--bootstrap", "-1"}, kLines).exit_code, 1);
  const TemporaryFolder folder;
  EXPECT_EQ(run_elastikv({"score", folder.path().string()}).errors,
            "error: " + folder.path().string() + ": is a folder, a JSONL file is needed\n");
}

}  // namespace
}  // namespace elastikv
