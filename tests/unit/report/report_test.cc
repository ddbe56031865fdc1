#include "report/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "metrics/clusters.h"
#include "metrics/intervals.h"
#include "report/latex.h"
#include "report/svg.h"
#include "report/table.h"
#include "support/expect_error.h"
#include "support/quiet_sweep.h"
#include "support/temporary_folder.h"
#include "sweep/runner.h"
#include "unit/report/markup_check.h"
#include "unit/sweep/fake_engines.h"

namespace elastikv {
namespace {

using Files = std::map<std::string, std::string>;

/// F of the sweep's n-th metric of texts: the third number of ROUGE.
double f_of(const Record& record, size_t metric) { return (*record.scores.at(metric))[2]; }

/// Runs sweeps of the fake engine over six text samples.
class ReportTest : public testing::Test {
 protected:
  ReportTest() {
    std::string lines;
    for (int i = 0; i < 6; ++i) {
      lines += fmt::format("{{\"id\": \"s{}\", \"question\": \"q\", \"answer\": \"answer {}\"}}\n",
                           i, i);
    }
    data_ = folder_.write("data.jsonl", lines);
  }

  std::filesystem::path run(const std::string& name, bool resume = false,
                            const std::string& strategies = "full, elastic, h2o") {
    SweepOverrides overrides;
    overrides.output = folder_.path() / name;
    const SweepConfig config = parse_sweep(
        "name: test\nmodels: {path: m}\ndata: {path: " + data_.string() +
            ", name: d}\nstrategies: [" + strategies +
            "]\nbudgets: {keep: [0.2, 0.5]}\nmetrics: {text: [rouge-l-pltrdy, rougeL]}\n",
        "s.yaml", overrides);
    RunOptions options;
    options.resume = resume;
    options.should_stop = [this] { return stop_; };
    run_quietly(config, options, FakeEngines(plan_));
    return config.output;
  }

  /// All files but those that hold times.
  static Files timeless(const Report& report) {
    Files files;
    for (const ReportFile& file : report.files) {
      if (!file.name.starts_with("speed")) files[file.name] = file.text;
    }
    return files;
  }
  static std::string file(const Report& report, const std::string& name) {
    for (const ReportFile& one : report.files) {
      if (one.name == name) return one.text;
    }
    ADD_FAILURE() << "no file " << name;
    return "";
  }
  /// A CSV without quoted fields as rows of column name to field.
  static std::vector<std::map<std::string, std::string>> rows(const std::string& csv) {
    std::vector<std::map<std::string, std::string>> all;
    std::vector<std::string> header;
    std::istringstream stream(csv);
    for (std::string line; std::getline(stream, line);) {
      std::vector<std::string> fields;
      std::istringstream parts(line + ",");
      for (std::string field; std::getline(parts, field, ',');) fields.push_back(field);
      if (header.empty()) {
        header = fields;
        continue;
      }
      EXPECT_EQ(fields.size(), header.size()) << line;
      std::map<std::string, std::string> row;
      for (size_t i = 0; i < header.size(); ++i) row[header[i]] = fields[i];
      all.push_back(std::move(row));
    }
    return all;
  }

  TemporaryFolder folder_;
  std::filesystem::path data_;
  FakePlan plan_;
  bool stop_ = false;
};

TEST_F(ReportTest, NumbersFollowFromTheRecords) {
  const auto output = run("a");
  const StoredSweep stored = read_stored_sweep(output);
  const auto cells = rows(file(make_report(stored), "cells.csv"));
  ASSERT_EQ(cells.size(), 5U);
  for (const auto& cell : cells) {
    double nll = 0;
    double tokens = 0;
    double rouge = 0;
    double kl = 0;
    double kept = 0;
    double sample_mean = 0;
    for (int i = 0; i < 6; ++i) {
      const Record& record = *stored.records.find(cell.at("cell"), fmt::format("s{}", i));
      double sum = 0;
      for (const float value : record.outcome.nll) sum += static_cast<double>(value);
      nll += sum;
      sample_mean += std::exp(sum / static_cast<double>(record.outcome.nll.size())) / 6;
      tokens += static_cast<double>(record.outcome.nll.size());
      rouge += f_of(record, 1) / 6;
      kl += record.outcome.mean_kl.value_or(0) / 6;
      kept += static_cast<double>(record.outcome.kept_tokens.all()[0]) / 6;
    }
    EXPECT_EQ(cell.at("status"), "complete");
    EXPECT_EQ(cell.at("scored_tokens"), "72");
    EXPECT_NEAR(std::stod(cell.at("ppl")), std::exp(nll / tokens), 1e-8);
    EXPECT_NEAR(std::stod(cell.at("ppl_sample_mean")), sample_mean, 1e-8);
    EXPECT_LT(std::stod(cell.at("ppl_low")), std::stod(cell.at("ppl")));
    EXPECT_GT(std::stod(cell.at("ppl_high")), std::stod(cell.at("ppl")));
    EXPECT_NEAR(std::stod(cell.at("rougeL")), rouge, 1e-8);
    EXPECT_NEAR(std::stod(cell.at("kept_tokens")), kept, 1e-8);
    if (cell.at("strategy") == "full") {
      EXPECT_EQ(cell.at("kl"), "");
      EXPECT_EQ(cell.at("budget"), "1");
    } else {
      EXPECT_NEAR(std::stod(cell.at("kl")), kl, 1e-8);
    }
  }
}

TEST_F(ReportTest, DifferencesArePairedWithFullAndElastic) {
  const Report report = make_report(read_stored_sweep(run("a")));
  const auto cells = rows(file(report, "cells.csv"));
  const auto nll_of = [&](const std::string& strategy, const std::string& budget) {
    for (const auto& cell : cells) {
      if (cell.at("strategy") == strategy && cell.at("budget") == budget) {
        return std::stod(cell.at("nll"));
      }
    }
    ADD_FAILURE() << strategy << budget;
    return 0.0;
  };
  auto differences = rows(file(report, "differences.csv"));
  std::erase_if(differences, [](const auto& row) { return row.at("measure") != "log_ppl"; });
  ASSERT_EQ(differences.size(), 6U);  // four cells with full, two of h2o with elastic
  for (const auto& row : differences) {
    const std::string& baseline = row.at("baseline");
    const double expected = nll_of(row.at("strategy"), row.at("budget")) -
                            nll_of(baseline, baseline == "full" ? "1" : row.at("budget"));
    EXPECT_NEAR(std::stod(row.at("difference")), expected, 1e-7);
    EXPECT_LE(std::stod(row.at("low")), expected);
    EXPECT_GE(std::stod(row.at("high")), expected);
  }
}

TEST_F(ReportTest, MeasuresNameTheirColumns) {
  const Report report = make_report(read_stored_sweep(run("a")));
  std::string shown;
  for (const auto& row : rows(file(report, "measures.csv"))) {
    EXPECT_EQ(row.at("model"), "m-fp32");
    EXPECT_EQ(row.at("data"), "d");
    EXPECT_TRUE(row.at("signature").starts_with(row.at("measure") + " "));
    for (const char* key : {"measure", "value", "low", "high", "better", "reference", "summary",
                            "least", "most", "log_from"})
      shown += row.at(key) + " ";
    shown += "\n";
  }
  EXPECT_EQ(
      shown,
      "ppl ppl ppl_low ppl_high lower dataset yes 1  4 \n"
      "rouge-l-pltrdy rouge-l-pltrdy rouge-l-pltrdy_low rouge-l-pltrdy_high higher full-cache "
      "yes 0 1  \n"
      "rougeL rougeL rougeL_low rougeL_high higher full-cache yes 0 1  \n"
      "first_divergence divergence divergence_low divergence_high higher full-cache no 0   \n"
      "match_rate match_rate match_low match_high higher full-cache no 0 1  \n"
      "mean_kl kl kl_low kl_high lower full-cache no 0  10 \n");
}

TEST_F(ReportTest, CellsSayWhatTheirStrategySets) {
  const std::string csv = file(
      make_report(
          read_stored_sweep(run("a", /*resume=*/false,
                                "full, {preset: elastic, name: other, set: {compaction: evict}}"))),
      "cells.csv");
  EXPECT_NE(csv.find(",\"{\"\"compaction\"\":\"\"evict\"\"}\",no\n"), std::string::npos) << csv;
}

TEST_F(ReportTest, ResumedSweepGivesTheSameBytes) {
  const Files whole = timeless(make_report(read_stored_sweep(run("whole"))));
  EXPECT_EQ(whole.count("ppl.csv"), 1U);
  EXPECT_EQ(whole.count("rouge-l-pltrdy.csv"), 1U);
  for (int64_t crash = 1; crash < 6; crash += 2) {
    const std::string name = fmt::format("crash{}", crash);
    plan_ = FakePlan{};
    plan_.crash_at = crash;
    EXPECT_THROW(run(name), Crash);
    plan_ = FakePlan{};
    plan_.slowness = 3;  // times differ from run to run, and must not show
    // A torn line, too.
    const auto records = folder_.path() / name / "records.jsonl";
    const std::string text = read_file(records);
    folder_.write(name + "/records.jsonl", text.substr(0, text.size() - 40));
    EXPECT_EQ(timeless(make_report(read_stored_sweep(run(name, /*resume=*/true)))), whole);
  }
}

TEST_F(ReportTest, RecordsInManyFilesGiveTheSameBytes) {
  plan_.failing = {{"m-fp32/d/h2o/0.2", "s1"}};
  const auto output = run("whole");
  const Report whole = make_report(read_stored_sweep(output));
  std::vector<std::string> lines;
  std::istringstream records(read_file(output / "records.jsonl"));
  for (std::string line; std::getline(records, line);) lines.push_back(line + "\n");
  const std::string details = read_file(output / "details.jsonl");
  std::filesystem::remove(output / "records.jsonl");
  std::filesystem::remove(output / "details.jsonl");
  std::mt19937_64 generator(5);
  for (int round = 0; round < 4; ++round) {
    std::shuffle(lines.begin(), lines.end(), generator);
    std::map<std::string, std::string> files;
    for (const char* name : {"records.jsonl", "records.0.jsonl", "records.1.jsonl",
                             "records.12.jsonl", "records.1.2.jsonl"})
      files[name] = "";
    for (const std::string& line : lines) {
      // A record may be there twice.
      for (uint64_t copy = 0; copy <= generator() % 2; ++copy)
        std::next(files.begin(), static_cast<ptrdiff_t>(generator() % files.size()))->second +=
            line;
    }
    for (const auto& [name, text] : files) folder_.write("whole/" + name, text + "{\"torn");
    const size_t first = details.find('\n') + 1;
    folder_.write("whole/details.1.jsonl", details.substr(first) + "{\"torn");
    folder_.write("whole/details.2.jsonl", details.substr(0, first));
    const Report split = make_report(read_stored_sweep(output));
    EXPECT_EQ(split.summary, whole.summary);
    ASSERT_EQ(split.files.size(), whole.files.size());
    for (size_t i = 0; i < whole.files.size(); ++i)
      EXPECT_EQ(split.files[i].text, whole.files[i].text) << whole.files[i].name;
  }
}

TEST_F(ReportTest, ASweepOfRanksIsResumedByOneProcess) {
  const Files whole = timeless(make_report(read_stored_sweep(run("whole"))));
  plan_ = FakePlan{};
  plan_.crash_at = 3;
  EXPECT_THROW(run("ranks"), Crash);
  const auto output = folder_.path() / "ranks";
  const std::string text = read_file(output / "records.jsonl");
  std::filesystem::rename(output / "records.jsonl", output / "records.1.jsonl");
  std::filesystem::rename(output / "details.jsonl", output / "details.1.jsonl");
  folder_.write("ranks/records.0.jsonl", "{\"torn");
  plan_ = FakePlan{};
  plan_.slowness = 3;
  EXPECT_THROW(run("ranks"), Error);  // without --resume
  EXPECT_FALSE(std::filesystem::exists(output / "records.jsonl"));
  EXPECT_EQ(timeless(make_report(read_stored_sweep(run("ranks", /*resume=*/true)))), whole);
  EXPECT_EQ(plan_.evaluated.size(), 3U);
  // What a rank wrote is as it was.
  EXPECT_EQ(read_file(output / "records.1.jsonl"), text);
  EXPECT_EQ(read_file(output / "records.0.jsonl"), "{\"torn");
  const std::string added = read_file(output / "records.0.2.jsonl");
  EXPECT_EQ(std::count(added.begin(), added.end(), '\n'), 3 * 5);
  EXPECT_EQ(timeless(make_report(read_stored_sweep(run("ranks", /*resume=*/true)))), whole);
  EXPECT_EQ(plan_.evaluated.size(), 3U);
}

TEST_F(ReportTest, SaysThatTheBestOfSeveralAnswersCounts) {
  const std::string note =
      "1 of 6 samples accept several answers; a text is compared with all of them and the best "
      "score counts.";
  StoredSweep stored = read_stored_sweep(run("a"));
  stored.samples.begin()->second[2].references = {"answer 2", "another"};
  EXPECT_EQ(file(make_report(stored), "report.md").find(note), std::string::npos);
  const std::string full = "\"reference\":\"full-cache\"";
  const size_t at = stored.header.config.find(full);
  ASSERT_NE(at, std::string::npos);
  stored.header.config.replace(at, full.size(), "\"reference\":\"dataset\"");
  EXPECT_NE(file(make_report(stored), "report.md").find(note), std::string::npos);
  stored.samples.begin()->second[2].references.clear();
  EXPECT_EQ(file(make_report(stored), "report.md").find(note), std::string::npos);
}

TEST_F(ReportTest, FailedCellsShowNoNumber) {
  plan_.failing = {{"m-fp32/d/h2o/0.2", "s1"}, {"m-fp32/d/h2o/0.2", "s3"}};
  const Report report = make_report(read_stored_sweep(run("a")));
  EXPECT_FALSE(report.complete);
  const std::string text = file(report, "report.md");
  EXPECT_NE(text.find("### What is missing\n\n- m-fp32/d/h2o/0.2: 2 of 6 samples failed: `s1`, "
                      "`s3`: no attention left\n"),
            std::string::npos)
      << text;
  EXPECT_NE(report.summary.find("failed 2/6"), std::string::npos);
  for (const auto& cell : rows(file(report, "cells.csv"))) {
    const bool failed = cell.at("cell") == "m-fp32/d/h2o/0.2";
    EXPECT_EQ(cell.at("status"), failed ? "failed" : "complete");
    EXPECT_EQ(cell.at("ppl").empty(), failed);
    EXPECT_EQ(cell.at("rougeL").empty(), failed);
  }
}

TEST_F(ReportTest, InterruptedSweepSaysSo) {
  plan_.on_evaluate = [this](const Sample& sample) { stop_ = sample.id == "s1"; };
  const Report report = make_report(read_stored_sweep(run("a")));
  EXPECT_FALSE(report.complete);
  EXPECT_NE(report.summary.find("**Incomplete: 2 of 6 samples.**"), std::string::npos);
  EXPECT_EQ(rows(file(report, "cells.csv"))[0].at("status"), "incomplete");
}

TEST_F(ReportTest, NothingRunYetIsNoReasonToFail) {
  stop_ = true;
  const Report report = make_report(read_stored_sweep(run("a")));
  EXPECT_NE(report.summary.find("**Incomplete: 0 of 6 samples.**"), std::string::npos);
  EXPECT_NE(report.summary.find("no samples"), std::string::npos);
}

TEST_F(ReportTest, HiddenFullCacheIsABaselineOnly) {
  const Report report = make_report(read_stored_sweep(run("a", /*resume=*/false, "h2o")));
  const auto cells = rows(file(report, "cells.csv"));
  ASSERT_EQ(cells.size(), 3U);
  EXPECT_EQ(cells[0].at("strategy"), "(full)");
  EXPECT_EQ(cells[0].at("hidden"), "yes");
  EXPECT_EQ(cells[1].at("strategy"), "h2o");
  EXPECT_EQ(cells[1].at("hidden"), "no");
  const std::string differences = file(report, "differences.csv");
  EXPECT_NE(differences.find("m-fp32,d,h2o,0.5,full,log_ppl,"), std::string::npos) << differences;
  EXPECT_EQ(file(report, "report.md").find("(full)"), std::string::npos);
}

TEST_F(ReportTest, FilesAreWrittenBesideTheRecords) {
  const auto output = run("a");
  const Report report = write_report(output);
  for (const ReportFile& one : report.files) EXPECT_EQ(read_file(output / one.name), one.text);
  EXPECT_NE(file(report, "report.md")
                .find("`ppl type:exp-nll|last:scored|agg:tokens|ci:bootstrap-t|bs:1000"),
            std::string::npos);
  EXPECT_ERROR(write_report(folder_.path()),
               folder_.path().string() + ": holds no sweep (no sweep.json)");
}

TEST_F(ReportTest, ASampleThatFailsEverywhereIsLeftOutForAll) {
  plan_.failing_samples = {"s3"};
  const Report report = make_report(read_stored_sweep(run("a")));
  EXPECT_FALSE(report.complete);
  EXPECT_NE(report.summary.find("**5 of 6 samples**; left out in all cells: `s3` (s3: the image "
                                "is torn). "),
            std::string::npos)
      << report.summary;
  for (const auto& cell : rows(file(report, "cells.csv"))) {
    EXPECT_EQ(cell.at("status"), "left out");
    EXPECT_EQ(cell.at("left_out"), "1");
    EXPECT_EQ(cell.at("samples"), "5");
    EXPECT_EQ(cell.at("failed"), "0");
    EXPECT_FALSE(cell.at("ppl").empty());
  }
  EXPECT_NE(file(report, "table-ppl.tex")
                .find("5 of 6 samples, left out in all cells: s3 (s3: the "
                      "image is torn)"),
            std::string::npos);
}

TEST_F(ReportTest, NoSampleLeftIsSaid) {
  plan_.failing_samples = {"s0", "s1", "s2", "s3", "s4", "s5"};
  const Report report = make_report(read_stored_sweep(run("a")));
  EXPECT_NE(report.summary.find("No sample is left: there are no numbers."), std::string::npos);
  EXPECT_EQ(xml_problem(file(report, "report.html")), "");
  EXPECT_EQ(latex_problem(file(report, "table-ppl.tex")), "");
}

TEST_F(ReportTest, OutOfMemoryHasAMarkOfItsOwn) {
  plan_.failing = {{"m-fp32/d/h2o/0.2", "s1"}};
  StoredSweep stored = read_stored_sweep(run("a"));
  Record record = *stored.records.find("m-fp32/d/h2o/0.2", "s1");
  record.outcome.failure = Failure::kOutOfMemory;
  stored.records.add(record);
  const Report report = make_report(stored);
  EXPECT_NE(report.summary.find("oom 1/6"), std::string::npos);
  EXPECT_NE(report.summary.find("1 of 6 samples failed (1 out of memory): `s1`"),
            std::string::npos);
  for (const auto& cell : rows(file(report, "cells.csv"))) {
    const bool failed = cell.at("cell") == "m-fp32/d/h2o/0.2";
    EXPECT_EQ(cell.at("status"), failed ? "oom" : "complete");
    EXPECT_EQ(cell.at("oom"), failed ? "1" : "0");
  }
}

TEST_F(ReportTest, RunsOfTheSameSamplesShareATable) {
  run("a", /*resume=*/false, "full, elastic");
  run("b", /*resume=*/false, "h2o");
  write_report({folder_.path() / "a", folder_.path() / "b"}, folder_.path() / "both");
  const Report one = make_report(read_stored_sweep(run("c")));
  EXPECT_EQ(read_file(folder_.path() / "both" / "ppl.csv"), file(one, "ppl.csv"));
  EXPECT_EQ(read_file(folder_.path() / "both" / "pairs.csv"), file(one, "pairs.csv"));
  EXPECT_NE(read_file(folder_.path() / "both" / "report.md").find("Joined from a, b."),
            std::string::npos);
}

TEST_F(ReportTest, ACellOfTwoRunsIsShownOnceOnlyWhereTheyAgree) {
  run("a");
  run("b");
  const Report same = write_report({folder_.path() / "a", folder_.path() / "b"}, folder_.path());
  EXPECT_EQ(rows(file(same, "cells.csv")).size(), 5U);
  plan_.drift = 0.5F;
  run("d");
  const Report other = write_report({folder_.path() / "a", folder_.path() / "d"}, folder_.path());
  EXPECT_EQ(rows(file(other, "cells.csv")).size(), 10U);
  EXPECT_NE(file(other, "ppl.csv").find("\nm-fp32,d,elastic@d,"), std::string::npos);
  EXPECT_ERROR(write_report({folder_.path() / "a", folder_.path() / "a"}, folder_.path()),
               (folder_.path() / "a").string() + ": is given twice; each run is reported once");
}

TEST_F(ReportTest, OtherWeightsStandByThemselves) {
  run("a");
  plan_.weights = "weights-2";
  run("b");
  const Report report = write_report({folder_.path() / "a", folder_.path() / "b"}, folder_.path());
  EXPECT_NE(file(report, "report.md").find("b stands by itself: it has other weights than a."),
            std::string::npos);
  EXPECT_NE(file(report, "ppl.csv").find("\nm-fp32,d@b,full,"), std::string::npos);
}

TEST_F(ReportTest, CategoriesHaveTheirOwnNumbers) {
  StoredSweep stored = read_stored_sweep(run("a"));
  stored.samples["d"].clear();
  for (int i = 0; i < 6; ++i) {
    StoredSample sample;
    sample.id = fmt::format("s{}", i);
    sample.question = "what & <where>?";
    sample.categories =
        i < 2 ? std::vector<std::string>{"ocr", "spatial"} : std::vector<std::string>{"spatial"};
    stored.samples["d"].push_back(sample);
  }
  const Report report = make_report(stored);
  size_t seen = 0;
  for (const auto& row : rows(file(report, "categories.csv"))) {
    EXPECT_EQ(row.at("samples"), row.at("category") == "ocr" ? "2" : "6");
    if (row.at("category") != "ocr" || row.at("measure") != "rougeL") continue;
    const std::string cell = "m-fp32/d/" + row.at("strategy") +
                             (row.at("strategy") == "full" ? "" : "/" + row.at("budget"));
    double mean = 0;
    for (const char* id : {"s0", "s1"}) {
      mean += f_of(*stored.records.find(cell, id), 1) / 2;
    }
    EXPECT_NEAR(std::stod(row.at("value")), mean, 1e-8);
    ++seen;
  }
  EXPECT_EQ(seen, 5U);
  EXPECT_NE(file(report, "report.md").find("### ppl by category at budget 0.2"), std::string::npos);
  EXPECT_NE(file(report, "report.md").find("ocr (n=2)"), std::string::npos);
}

/// Gives a sample an answer of one scored token in all cells.
void make_blind(const std::string& sample, StoredSweep& stored) {
  std::vector<Record> changed;
  for (const Record& record : stored.records) {
    if (record.sample == sample) changed.push_back(record);
  }
  for (Record& record : changed) {
    record.outcome.nll = {0.75F};
    record.outcome.nll_sum = 0.75;
    record.outcome.scored_tokens = 1;
    // What records held before: nothing was compared.
    if (record.outcome.mean_kl) record.outcome.mean_kl = 0;
    stored.records.add(record);
  }
}

TEST_F(ReportTest, AnswersOfOneTokenAreSaidAndLeftOutOfDifferences) {
  StoredSweep stored = read_stored_sweep(run("a"));
  const std::string said = "have one scored token";
  EXPECT_EQ(file(make_report(stored), "report.md").find(said), std::string::npos);
  make_blind("s1", stored);
  make_blind("s4", stored);
  const Report report = make_report(stored);
  const std::string markdown = file(report, "report.md");
  const size_t note = markdown.find("2 of 6 answers (33.3 %) " + said);
  EXPECT_LT(note, markdown.find("| strategy"));
  EXPECT_NE(report.summary.find("2 of 6 answers (33.3 %) " + said), std::string::npos);
  EXPECT_NE(file(report, "report.html").find("2 of 6 answers (33.3 %) " + said), std::string::npos);
  EXPECT_NE(file(report, "table-ppl.tex").find("2 of 6 answers (33.3 \\%) " + said),
            std::string::npos);
  EXPECT_NE(markdown.find("2 of 6 answers have one scored token and are left out."),
            std::string::npos);
  EXPECT_NE(markdown.find("Over 4 of 6 samples: of the other answers no token but the first is "
                          "scored"),
            std::string::npos);
  const auto cells = rows(file(report, "cells.csv"));
  std::map<std::string, double> log_perplexity;  // of the four other samples
  for (const auto& cell : cells) {
    double kl = 0;
    double nll = 0;
    double tokens = 0;
    for (const char* id : {"s0", "s2", "s3", "s5"}) {
      const CellOutcome& outcome = stored.records.find(cell.at("cell"), id)->outcome;
      kl += outcome.mean_kl.value_or(0) / 4;
      nll += outcome.nll_sum;
      tokens += static_cast<double>(outcome.scored_tokens);
    }
    log_perplexity[cell.at("strategy") + cell.at("budget")] = nll / tokens;
    EXPECT_EQ(cell.at("one_token_answers"), "2");
    EXPECT_EQ(cell.at("scored_tokens"), "50");
    const bool full = cell.at("strategy") == "full";
    EXPECT_EQ(cell.at("kl_samples"), full ? "0" : "4");
    if (!full) {
      EXPECT_NEAR(std::stod(cell.at("kl")), kl, 1e-8) << "zeros would lower the mean";
    }
  }
  for (const auto& row : rows(file(report, "differences.csv"))) {
    EXPECT_EQ(row.at("samples"), row.at("measure").starts_with("rouge") ? "6" : "4");
    if (row.at("measure") != "log_ppl" || row.at("baseline") != "full") continue;
    EXPECT_NEAR(
        std::stod(row.at("difference")),
        log_perplexity.at(row.at("strategy") + row.at("budget")) - log_perplexity.at("full1"),
        1e-7);
  }
}

TEST_F(ReportTest, AnswersOfOneTokenAloneHaveNoDifferences) {
  StoredSweep stored = read_stored_sweep(run("a"));
  for (int i = 0; i < 6; ++i) make_blind(fmt::format("s{}", i), stored);
  const Report report = make_report(stored);
  EXPECT_NE(report.summary.find("6 of 6 answers (100.0 %) have one scored token"),
            std::string::npos);
  for (const auto& row : rows(file(report, "differences.csv"))) {
    EXPECT_NE(row.at("measure"), "log_ppl");
    EXPECT_NE(row.at("measure"), "mean_kl");
  }
  for (const auto& cell : rows(file(report, "cells.csv"))) EXPECT_EQ(cell.at("kl"), "");
}

TEST_F(ReportTest, SamplesOfOneClusterAreResampledAsOne) {
  StoredSweep stored = read_stored_sweep(run("a"));
  const auto apart = rows(file(make_report(stored), "cells.csv"));
  std::vector<std::string> names;
  for (size_t i = 0; i < 6; ++i) {
    names.push_back(i < 4 ? fmt::format("picture {}", i / 2) : "");
    stored.samples.at("d")[i].cluster = names.back();
  }
  const Report report = make_report(stored);
  EXPECT_NE(report.summary.find("6 samples in 4 clusters. "), std::string::npos) << report.summary;
  const auto together = rows(file(report, "cells.csv"));
  const Clusters clusters(names);
  size_t other = 0;
  for (size_t i = 0; i < together.size(); ++i) {
    const auto& cell = together[i];
    EXPECT_EQ(apart[i].at("clusters"), "6");
    EXPECT_EQ(cell.at("clusters"), "4");
    EXPECT_EQ(cell.at("ppl"), apart[i].at("ppl"));
    other += cell.at("ppl_low") != apart[i].at("ppl_low") ? 1 : 0;
    std::vector<double> nll;
    std::vector<double> tokens;
    std::vector<double> rouge;
    for (int s = 0; s < 6; ++s) {
      const Record& record = *stored.records.find(cell.at("cell"), fmt::format("s{}", s));
      nll.push_back(record.outcome.nll_sum);
      tokens.push_back(static_cast<double>(record.outcome.scored_tokens));
      rouge.push_back(f_of(record, 1));
    }
    const auto ppl = Bootstrap().perplexity_interval(nll, tokens, clusters);
    EXPECT_NEAR(std::stod(cell.at("ppl_low")), ppl->low, 1e-7 * ppl->low);
    EXPECT_NEAR(std::stod(cell.at("ppl_high")), ppl->high, 1e-7 * ppl->high);
    const auto mean = Bootstrap().mean_interval(rouge, clusters, {0, 1});
    EXPECT_NEAR(std::stod(cell.at("rougeL_low")), mean->low, 1e-8);
  }
  EXPECT_EQ(other, together.size());
}

TEST_F(ReportTest, PairsWithoutAScoreAreSaid) {
  StoredSweep stored = read_stored_sweep(run("a"));
  EXPECT_EQ(file(make_report(stored), "report.md").find("has no score"), std::string::npos);
  for (const char* cell : {"m-fp32/d/full", "m-fp32/d/elastic/0.2"}) {
    Record record = *stored.records.find(cell, "s2");
    record.scores[1] = Score{};
    stored.records.add(record);
  }
  const Report report = make_report(stored);
  const std::string said =
      "In 0 to 1 of 6 pairs of a cell a text has not a word of a-z and 0-9: rougeL has no score "
      "for "
      "them, and they count as 0, the full cache beside itself too.";
  for (const char* name : {"report.md", "report.html", "table-rougeL.tex"}) {
    EXPECT_NE(file(report, name).find(said), std::string::npos) << name;
  }
  EXPECT_EQ(file(report, "table-rouge-l-pltrdy.tex").find("has no score"), std::string::npos);
  for (const auto& cell : rows(file(report, "cells.csv"))) {
    const bool there = cell.at("strategy") == "full" ||
                       (cell.at("strategy") == "elastic" && cell.at("budget") == "0.2");
    EXPECT_EQ(cell.at("rougeL_undefined"), there ? "1" : "0");
    EXPECT_EQ(cell.at("rouge-l-pltrdy_undefined"), "0");
  }
}

TEST_F(ReportTest, ControlsThatDoAsWellAreSaid) {
  StoredSweep stored = read_stored_sweep(run("a", /*resume=*/false, "full, elastic, random"));
  /// Log likelihoods of random: the best strategy's and a little, which differs from sample to
  /// sample.
  const auto set_random = [&](const std::string& budget, double worse) {
    for (int i = 0; i < 6; ++i) {
      const std::string id = fmt::format("s{}", i);
      Record record = *stored.records.find("m-fp32/d/random/" + budget, id);
      record.outcome.nll_sum =
          stored.records.find("m-fp32/d/elastic/" + budget, id)->outcome.nll_sum +
          worse * (1 + 0.1 * i) + (i % 2 == 0 ? 0.01 : -0.01);
      stored.records.add(record);
    }
  };
  set_random("0.2", 3);
  set_random("0.5", 0);
  const Report report = make_report(stored);
  const std::string said =
      "Not told apart from the best strategy on d by the paired bootstrap: the control random at "
      "budget 0.5.";
  const std::string markdown = file(report, "report.md");
  EXPECT_LT(markdown.find(said), markdown.find("| strategy"));
  EXPECT_NE(file(report, "report.html").find(said), std::string::npos);
  EXPECT_NE(file(report, "table-ppl.tex").find(said), std::string::npos);
  set_random("0.5", 3);
  EXPECT_EQ(file(make_report(stored), "table-ppl.tex").find("Not told apart"), std::string::npos);
}

TEST_F(ReportTest, ManyDifferencesAreAdjustedByHolm) {
  const Report report = make_report(read_stored_sweep(run("a", false, "full, elastic, h2o, tova")));
  std::map<std::string, std::vector<double>> raw;
  std::map<std::string, std::vector<double>> adjusted;
  for (const auto& row : rows(file(report, "differences.csv"))) {
    const std::string family = row.at("baseline") + row.at("measure");
    raw[family].push_back(std::stod(row.at("p_value")));
    adjusted[family].push_back(std::stod(row.at("p_holm")));
  }
  EXPECT_EQ(raw.at("fulllog_ppl").size(), 6U);
  EXPECT_EQ(raw.at("elasticlog_ppl").size(), 4U);
  for (const auto& [family, p_values] : raw) {
    const std::vector<double> expected = holm_adjusted(p_values);
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(adjusted.at(family)[i], expected[i], 1e-7) << family;
      EXPECT_GE(adjusted.at(family)[i], p_values[i]);
    }
  }
  const auto pairs = rows(file(report, "pairs.csv"));
  EXPECT_EQ(pairs.front().count("p_holm"), 1U);
  EXPECT_NE(file(report, "report.md").find("p is adjusted by Holm's procedure"), std::string::npos);
}

// Whatever a data set calls its categories and samples: every row keeps its columns, and nothing of
// it becomes a heading, code, HTML or a link.
TEST_F(ReportTest, TextsFromDataStayTextInMarkdown) {
  plan_.failing = {{"m-fp32/d/h2o/0.2", "s1"}};
  StoredSweep stored = read_stored_sweep(run("a"));
  const std::string strange = "a|b `c` <b>d</b>\n# *e* [f](g) \\";
  for (StoredSample& sample : stored.samples.at("d")) sample.categories = {strange};
  Record record = *stored.records.find("m-fp32/d/h2o/0.2", "s1");
  record.outcome.error = "no <i>attention</i> | *left*";
  stored.records.add(record);
  const Report report = make_report(stored);
  const std::string markdown = file(report, "report.md");
  EXPECT_NE(markdown.find("a\\|b \\`c\\` \\<b>d\\</b> # \\*e\\* \\[f\\](g) \\\\ (n=6)"),
            std::string::npos)
      << markdown;
  EXPECT_NE(markdown.find("`s1`: no \\<i>attention\\</i> \\| \\*left\\*\n"), std::string::npos)
      << markdown;
  EXPECT_EQ(markdown.find("\n# *e"), std::string::npos);
  EXPECT_EQ(file(report, "report.html").find("<b>"), std::string::npos);
  EXPECT_EQ(latex_problem(file(report, "report.tex")), "");
}

TEST_F(ReportTest, EveryFormIsWellFormedWhateverTheNames) {
  StoredSweep stored = read_stored_sweep(run("a"));
  stored.header.provenance = {{"fixture", "yes"},
                              {"reproduce", "elastikv sweep s.yaml --resume --output 'a b' --x"}};
  Record record = *stored.records.find("m-fp32/d/h2o/0.2", "s1");
  record.outcome.text = "<script>alert(1)</script> & \"é\"";
  stored.records.add(record);
  StoredDetail detail;
  detail.model = "m-fp32";
  detail.data = "d";
  detail.sample = "s1";
  detail.cells = {"m-fp32/d/full", "m-fp32/d/elastic/0.2", "m-fp32/d/h2o/0.2"};
  detail.detail.prompt_tokens = 8;
  detail.detail.image_begin = 1;
  detail.detail.image_end = 5;
  detail.detail.grid_rows = 2;
  detail.detail.grid_columns = 2;
  detail.detail.thumbnail = "iVBORw0KGgo=";
  detail.detail.importance = {{3, 1, 1, 1, 1, 1, 0.5F, 0}};
  detail.detail.kept = {{}, {{{0, 1, 7}}}, {{{0, 2}, {0, 3}}}};
  stored.details = {detail};
  const Report report = make_report(stored);
  const std::string html = file(report, "report.html");
  EXPECT_EQ(
      xml_problem(html.substr(0, html.find("<style>")) + html.substr(html.find("</style>") + 8)),
      "");
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("http://"), std::string::npos);
  EXPECT_EQ(html.find("https://"), std::string::npos);
  EXPECT_NE(html.find("&lt;script&gt;alert(1)"), std::string::npos);
  // The image is there once, however often it is shown.
  EXPECT_EQ(html.find("base64"), html.rfind("base64"));
  // 0 and 1 of the image's first row kept by elastic: the other three are dark.
  EXPECT_NE(html.find("d=\"M1 0h1v1h-1zM0 1h2v1h-2z\""), std::string::npos);
  for (const ReportFile& one : report.files) {
    if (one.name == "table-ppl.tex" || one.name == "report.tex") {
      EXPECT_EQ(latex_problem(one.text), "") << one.text;
    }
    EXPECT_NE(one.text.find("FIXTURE: made-up records, not a measurement"), std::string::npos)
        << one.name;
  }
  EXPECT_NE(file(report, "report.md").find("reproduce: `elastikv sweep s.yaml --x`"),
            std::string::npos);
}

TEST(ReportForms, AreNamedAndComeInTheirOrder) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(form_names(report_forms()), (Names{"md", "csv", "latex", "html"}));
  EXPECT_EQ(form_names(parse_report_forms("html,md,html")), (Names{"md", "html"}));
  EXPECT_ERROR(parse_report_forms("md,latx"),
               "unknown report format 'latx'; did you mean 'latex'?");
  EXPECT_ERROR(parse_report_forms("json"),
               "unknown report format 'json'; known: md, csv, latex, html");
  EXPECT_ERROR(parse_report_forms(""), "no report format is given; known: md, csv, latex, html");
}

TEST_F(ReportTest, EachFormWritesFilesOfItsOwn) {
  const StoredSweep stored = read_stored_sweep(run("a"));
  Files all;
  for (const ReportFile& file : make_report(stored).files) all[file.name] = file.text;
  Files apart;
  for (const TableForm* form : report_forms()) {
    for (const ReportFile& file : make_report(stored, {form}).files) {
      EXPECT_EQ(std::filesystem::path(file.name).extension().string(), form->extension);
      EXPECT_TRUE(apart.emplace(file.name, file.text).second) << file.name;
    }
  }
  EXPECT_EQ(apart, all);
  for (const char* name : {"report.md", "speed.md", "cells.csv", "speed.csv", "report.tex",
                           "table-ppl.tex", "report.html"})
    EXPECT_TRUE(all.contains(name)) << name;
}

TEST(Latex, EscapesEverything) {
  EXPECT_EQ(latex_escape("a_b%&#{}~^\\$"),
            "a\\_b\\%\\&\\#\\{\\}\\textasciitilde{}\\textasciicircum{}\\textbackslash{}\\$");
  EXPECT_EQ(latex_escape("é中\xff\n"), "é{[}U+4E2D]{[}U+FFFD] ");
  EXPECT_EQ(latex_escape("a,,b--c"), "a,{},b-{}-c");
  EXPECT_EQ(latex_problem(latex_escape("a_b%&#{}~^\\$[x]--`'\"<|>")), "");
  EXPECT_EQ(latex_problem("a_b"), "_ is not escaped in: a_b");
  EXPECT_EQ(latex_problem("\\begin{tabular}{lc}\na & b & c \\\\\n\\end{tabular}\n"),
            "3 cells of 2 in: a & b & c \\\\");
}

TEST(Svg, IsWellFormedAndSkipsWhatIsNoNumber) {
  Chart chart;
  chart.title = "a < b & \"c\"";
  chart.log_y = true;
  chart.series = {{"<x>", {0, false}, {{0.1, 5, Interval{-1, 9}}, {0.2, std::nan(""), {}}}},
                  {"one", {1, true}, {{0.5, 1, {}}}}};
  chart.reference = ChartReference{"full", 2, Interval{1, 3}};
  const std::string svg = svg_chart(chart);
  EXPECT_EQ(xml_problem(svg), "");
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg, svg_chart(chart));
  EXPECT_EQ(xml_problem(svg_chart(Chart{})), "");
  EXPECT_EQ(xml_problem("<a><b></a></b>"), "ends what was not open: a");
  EXPECT_EQ(axis_ticks(0.05, 0.95, false, 5),
            (std::vector<double>{0.2, 0.4, 0.6000000000000001, 0.8}));
  EXPECT_EQ(axis_ticks(0.5, 200, true, 5),
            (std::vector<double>{0.5, 1, 2, 5, 10, 20, 50, 100, 200}));
  EXPECT_EQ(grid_path({true, true, true, false}, 2), "M0 0h2v1h-2zM0 1h1v1h-1z");
}

TEST(Table, MarkdownIsAlignedAndCsvQuoted) {
  Table table;
  table.header = {"strategy", "0.1"};
  table.rows = {{"full", "1.000"}, {"é", "12"}};
  EXPECT_EQ(table.markdown(),
            "| strategy |   0.1 |\n"
            "| -------- | -----:|\n"
            "| full     | 1.000 |\n"
            "| é        |    12 |\n");
  table.rows = {{"a,b", "say \"x\""}};
  EXPECT_EQ(table.csv(), "strategy,0.1\n\"a,b\",\"say \"\"x\"\"\"\n");
}

TEST(Table, MarkdownShowsTextAsItIs) {
  EXPECT_EQ(markdown_text("plain text, 1.5 (x) snake_case"), "plain text, 1.5 (x) snake_case");
  EXPECT_EQ(markdown_text("a|b`c<d*e_ [f](g)\nh\\ &amp; & $x$ ~s~"),
            "a\\|b\\`c\\<d\\*e\\_ \\[f\\](g) h\\\\ \\&amp; & \\$x\\$ \\~s\\~");
  EXPECT_EQ(markdown_text("# no heading"), "\\# no heading");
  EXPECT_EQ(markdown_text("  - no list"), "\\- no list");
  EXPECT_EQ(markdown_text("1. no list"), "1\\. no list");
  EXPECT_EQ(markdown_text("> no quote"), "\\> no quote");
  EXPECT_EQ(markdown_text("3 of 4"), "3 of 4");
  EXPECT_EQ(markdown_text(""), "");
  EXPECT_EQ(markdown_code("s3"), "`s3`");
  EXPECT_EQ(markdown_code("a``b`c"), "```a``b`c```");
  EXPECT_EQ(markdown_code("`x"), "`` `x ``");
  EXPECT_EQ(markdown_code("a\nb"), "`a b`");
  Table table;
  table.header = {"a|b", "x*y"};
  table.rows = {{"*c*", "+0.1 [+0.0, +0.2]*"}, {"d\ne", "failed 1/2 | <b>"}};
  EXPECT_EQ(table.markdown(),
            "| a\\|b  |               x\\*y |\n"
            "| ----- | ------------------:|\n"
            "| \\*c\\* | +0.1 [+0.0, +0.2]* |\n"
            "| d e   | failed 1/2 \\| \\<b> |\n");
}

TEST(Table, NumbersKeepFourDigits) {
  EXPECT_EQ(short_number(0.12345), "0.123");
  EXPECT_EQ(short_number(9.9994), "9.999");
  EXPECT_EQ(short_number(9.9996), "10.00");
  EXPECT_EQ(short_number(99.996), "100.0");
  EXPECT_EQ(short_number(105.24), "105.2");
  EXPECT_EQ(short_number(12345.6), "12346");
  EXPECT_EQ(with_interval(1.5, Interval{1.25, 1.75}), "1.500 [1.250, 1.750]");
  EXPECT_EQ(with_interval(1.5, std::nullopt), "1.500");
  EXPECT_EQ(signed_with_interval(0.5, Interval{0.25, 0.75}), "+0.500 [+0.250, +0.750]*");
  EXPECT_EQ(signed_with_interval(-0.5, Interval{-0.75, 0.25}), "-0.500 [-0.750, +0.250]");
}

}  // namespace
}  // namespace elastikv
