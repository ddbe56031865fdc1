#include <gtest/gtest.h>

#include "support/run_program.h"

namespace elastikv {
namespace {

TEST(Program, VersionAndHelpSucceed) {
  const ProgramResult version = run_elastikv({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_EQ(version.output, "0.1.0\n");
  const ProgramResult help = run_elastikv({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_NE(help.output.find("Usage: elastikv"), std::string::npos) << help.output;
}

TEST(Program, BadUsageIsExitCodeOne) {
  const ProgramResult nothing = run_elastikv({});
  EXPECT_EQ(nothing.exit_code, 1);
  EXPECT_EQ(nothing.output, "");
  EXPECT_EQ(nothing.errors, "A subcommand is required\nRun with --help for more information.\n");
  EXPECT_EQ(run_elastikv({"swep"}).exit_code, 1);
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
