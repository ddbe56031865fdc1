#include <gtest/gtest.h>

#include "base/files.h"
#include "support/paths.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

/// A sweep file over two text samples, and what the verbs that need no weights say to it.
class SweepVerbs : public testing::Test {
 protected:
  SweepVerbs() {
    data_ = folder_.write("data.jsonl",
                          "{\"id\": \"a\", \"question\": \"q\", \"answer\": \"one\"}\n"
                          "{\"id\": \"b\", \"question\": \"q\", \"answer\": \"three\"}\n");
  }
  std::string sweep(const std::string& budgets) const {
    return folder_
        .write("s.yaml", "models: {path: " + (folder_.path() / "model").string() +
                             ", label: m}\ndata: {path: " + data_.string() +
                             ", name: d}\nstrategies: [full, elastic]\nbudgets: {keep: " + budgets +
                             "}\noutput: " + (folder_.path() / "out").string() + "\n")
        .string();
  }

  TemporaryFolder folder_;
  std::filesystem::path data_;
};

TEST_F(SweepVerbs, BadInputIsOneLineAndExitCodeOne) {
  for (const char* verb : {"sweep", "plan"}) {
    for (const char* budget : {"0", "1.5", "nan"}) {
      const ProgramResult result = run_elastikv({verb, sweep(budget)});
      EXPECT_EQ(result.exit_code, 1);
      EXPECT_EQ(result.output, "");
      EXPECT_EQ(result.errors, "error: " + (folder_.path() / "s.yaml").string() +
                                   ":4: key 'budgets.keep' is " + budget +
                                   ", a budget is a fraction kept: above 0 and at most 1\n");
    }
    const ProgramResult missing = run_elastikv({verb, "none.yaml"});
    EXPECT_EQ(missing.exit_code, 1);
    EXPECT_EQ(missing.errors, "error: none.yaml: cannot open: No such file or directory\n");
    const ProgramResult usage = run_elastikv({verb, sweep("0.5"), "--limit", "few"});
    EXPECT_EQ(usage.exit_code, 1);
  }
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "out"));
}

TEST_F(SweepVerbs, ReportNeedsASweep) {
  const ProgramResult result = run_elastikv({"report", folder_.path().string()});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.errors,
            "error: " + folder_.path().string() + ": holds no sweep (no sweep.json)\n");
}

TEST_F(SweepVerbs, ReportDoesNotReplaceTablesWhoseRecordsWereNotKept) {
  const std::filesystem::path fixture = source_path("tests/fixtures/fixture-llava-table3");
  folder_.write("sweep.json", read_file(fixture / "sweep.json"));
  const auto table = folder_.write("report.md", "the table\n");
  const ProgramResult result = run_elastikv({"report", folder_.path().string()});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.errors, "error: " + folder_.path().string() +
                               ": holds no records (no records.jsonl); run the sweep again to get "
                               "them\n");
  EXPECT_EQ(read_file(table), "the table\n");
}

TEST_F(SweepVerbs, ReportOfSeveralNeedsAnOutputAndKnownForms) {
  const ProgramResult nowhere = run_elastikv({"report", "a", "b"});
  EXPECT_EQ(nowhere.exit_code, 1);
  EXPECT_EQ(nowhere.output, "");
  EXPECT_EQ(nowhere.errors,
            "error: a report of several runs belongs to none of their folders; say where with "
            "--output\n");
  const ProgramResult form = run_elastikv({"report", "a", "--formats", "md,cvs"});
  EXPECT_EQ(form.exit_code, 1);
  EXPECT_EQ(form.errors, "error: unknown report format 'cvs'; did you mean 'csv'?\n");
}

TEST_F(SweepVerbs, ReportJoinsRunsFromRecordsAloneTheSameWayEveryTime) {
  const std::filesystem::path fixtures = source_path("tests/fixtures");
  const auto report = [&](const std::string& output, const std::string& formats) {
    return run_elastikv({"report", (fixtures / "fixture-llava-grids").string(),
                         (fixtures / "fixture-llava-table3").string(), "--output",
                         (folder_.path() / output).string(), "--formats", formats});
  };
  ASSERT_EQ(report("all", "md,csv,latex,html").exit_code, 0);
  ASSERT_EQ(report("again", "md,csv,latex,html").exit_code, 0);
  int64_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / "all")) {
    const std::string name = entry.path().filename().string();
    EXPECT_EQ(read_file(entry.path()), read_file(folder_.path() / "again" / name)) << name;
    ++files;
  }
  EXPECT_GE(files, 10);
  for (const char* name : {"report.md", "report.html", "report.tex"}) {
    EXPECT_NE(read_file(folder_.path() / "all" / name)
                  .find("FIXTURE: made-up records, not a measurement"),
              std::string::npos)
        << name;
  }
  ASSERT_EQ(report("pages", "html").exit_code, 0);
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "pages/report.html"));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "pages/report.md"));
}

TEST_F(SweepVerbs, SettingsReachIntoStrategiesOfAFileThatExtendsAnother) {
  const std::filesystem::path base = sweep("[0.2, 0.5]");
  const std::string file =
      folder_.write("derived.yaml", "extends: " + base.filename().string() + "\nname: derived\n")
          .string();
  // The model is at fault only after the settings were understood.
  const ProgramResult known = run_elastikv({"plan", file, "--set", "elastic.selection.sinks=1-3"});
  EXPECT_EQ(known.exit_code, 1);
  EXPECT_EQ(known.errors.find("sinks"), std::string::npos) << known.errors;
  const ProgramResult unknown = run_elastikv({"plan", file, "--set", "elastci.selection.sinks=1"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_EQ(unknown.errors,
            "error: --set elastci.selection.sinks: 'elastci' is neither a key of a "
            "sweep nor a strategy of " +
                file + "; did you mean 'elastic'?\n");
}

TEST_F(SweepVerbs, SetAndLimitChangeThePlan) {
  // The data set is at fault only after the overrides were understood.
  folder_.write("data.jsonl", "{\"id\": \"a\", \"question\": \"q\", \"answer\": \"\"}\n");
  const ProgramResult bad =
      run_elastikv({"plan", sweep("0.5"), "--set", "generation.max_new_token=3"});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_NE(bad.errors.find("unknown key 'generation.max_new_token'; did you mean "
                            "'max_new_tokens'? (with --set generation.max_new_token=3)"),
            std::string::npos)
      << bad.errors;
}

}  // namespace
}  // namespace elastikv
