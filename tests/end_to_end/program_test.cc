#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "base/version.h"
#include "support/paths.h"
#include "support/run_program.h"

namespace elastikv {
namespace {

TEST(Program, VersionAndHelpSucceed) {
  const ProgramResult version = run_elastikv({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_EQ(version.output, std::string(elastikv::version()) + "\n");
  const ProgramResult help = run_elastikv({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_NE(help.output.find("Usage: elastikv"), std::string::npos) << help.output;
}

TEST(Program, TheChangelogBeginsWithItsVersion) {
  std::ifstream file(source_path("CHANGELOG.md"));
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("## ")) break;
  }
  EXPECT_EQ(line.substr(0, line.find(',')), "## " + std::string(version()));
}

// The program starts itself again before it begins (waiting.cpp), which must not start the loader.
TEST(Program, RunsUnderAnExplicitLoader) {
  const char* loader = "/lib64/ld-linux-x86-64.so.2";
  if (!std::filesystem::exists(loader)) GTEST_SKIP() << "no " << loader;
  const ProgramResult version = run_command({loader, program_path("elastikv"), "--version"});
  EXPECT_EQ(version.exit_code, 0) << version.errors;
  EXPECT_EQ(version.output, std::string(elastikv::version()) + "\n");
}

TEST(Program, BadUsageIsExitCodeOne) {
  const ProgramResult nothing = run_elastikv({});
  EXPECT_EQ(nothing.exit_code, 1);
  EXPECT_EQ(nothing.output, "");
  EXPECT_EQ(nothing.errors,
            "error: a verb is needed: sweep, plan, bench, report, merge, compare, generate, "
            "explain, export, score, list, inspect, inspect-data, make-task, check-strategy, "
            "completion (see "
            "elastikv --help)\n");
  const auto refused = [](const std::vector<std::string>& arguments, const std::string& message) {
    const ProgramResult result = run_elastikv(arguments);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.output, "");
    EXPECT_EQ(result.errors, "error: " + message + "\n");
  };
  refused({"swep"}, "unknown verb 'swep'; did you mean 'sweep'? (see elastikv --help)");
  refused({"train"},
          "unknown verb 'train'; known: sweep, plan, bench, report, merge, compare, generate, "
          "explain, export, score, list, inspect, inspect-data, make-task, check-strategy, "
          "completion (see "
          "elastikv --help)");
  refused({"--limit", "3"},
          "a verb is needed: sweep, plan, bench, report, merge, compare, generate, explain, "
          "export, score, list, inspect, inspect-data, make-task, check-strategy, completion (see "
          "elastikv --help)");
  refused({"sweep"}, "file is required (see elastikv sweep --help)");
  refused({"sweep", "a.yaml", "--resumee"},
          "unknown option '--resumee'; did you mean '--resume'? (see elastikv sweep --help)");
  refused({"plan", "a.yaml", "--bogus=3"}, "unknown option '--bogus=3' (see elastikv plan --help)");
  refused({"generate", "-p", "hi", "there"},
          "unexpected argument 'there' (see elastikv generate --help)");
  refused({"generate"}, "--prompt or --prompt-ids is required (see elastikv generate --help)");
  refused({"generate", "-p", "hi", "--keep", "half"},
          "Could not convert: --keep = half (see elastikv generate --help)");
  refused({"generate", "-p", "hi", "--keep", ""},
          "--keep: the value is empty (see elastikv generate --help)");
  refused({"list", "strategy"},
          "what: strategy not in "
          "{all,strategies,components,models,prompts,formats,metrics,tasks,keys} (see "
          "elastikv "
          "list --help)");
}

TEST(RunProgram, CapturesBothStreamsInputAndSignals) {
  const ProgramResult both = run_command({"sh", "-c", "cat; echo no >&2; exit 3"}, "one\ntwo");
  EXPECT_EQ(both.exit_code, 3);
  EXPECT_EQ(both.output, "one\ntwo");
  EXPECT_EQ(both.errors, "no\n");
  EXPECT_EQ(run_command({"sh", "-c", "kill -INT $$"}).exit_code, 130);
}

}  // namespace
}  // namespace elastikv
