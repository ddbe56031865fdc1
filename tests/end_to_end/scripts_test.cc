#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/paths.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

/// Scripts in a folder of their own, in which all that they call only says how it was called.
class Scripts : public testing::Test {
 protected:
  Scripts() {
    for (const char* script : {"quickstart.sh", "paper.sh", "output_option.sh"}) {
      const auto source = std::filesystem::path(source_path("scripts")) / script;
      if (!std::filesystem::exists(source)) continue;
      std::filesystem::create_directories(folder_.path() / "scripts");
      std::filesystem::copy_file(source, folder_.path() / "scripts" / script);
    }
    const std::string say = "#!/bin/sh\necho \"$(basename \"$0\")\" \"$@\"\n";
    for (const char* called : {"scripts/setup.sh", "scripts/build.sh", "build/release/bin/elastikv",
                               "cache/tools/bin/python"})
      program(called, say);
  }

  void program(const std::string& name, const std::string& text) {
    std::filesystem::permissions(folder_.write(name, text), std::filesystem::perms::owner_all);
  }
  std::string run(const std::string& script, const std::vector<std::string>& arguments) const {
    std::vector<std::string> command{"env", "ELASTIKV_CACHE=" + (folder_.path() / "cache").string(),
                                     "bash", (folder_.path() / "scripts" / script).string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const ProgramResult result = run_command(command);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return result.output;
  }

  TemporaryFolder folder_;
};

TEST_F(Scripts, QuickstartPlotsTheFolderThatTheSweepWrites) {
  const std::vector<std::vector<std::string>> spellings{
      {"--output", "results/mine"},
      {"--output=results/mine"},
      {"--set", "output=results/mine"},
      {"--set=output=results/mine"},
      {"--limit", "2", "--output=results/other", "--output", "results/mine"}};
  for (const auto& arguments : spellings) {
    const std::string output = run("quickstart.sh", arguments);
    EXPECT_NE(output.find("python scripts/plot.py results/mine\n"), std::string::npos) << output;
    EXPECT_NE(output.find(" --output results/mine\n"), std::string::npos) << output;
    EXPECT_EQ(output.find("results/quickstart"), std::string::npos) << output;
  }
  const std::string plain = run("quickstart.sh", {"--limit", "2", "--set", "budgets.keep=0.2"});
  EXPECT_NE(plain.find("elastikv sweep configs/quickstart.yaml --limit 2 --set budgets.keep=0.2 "
                       "--output results/quickstart\n"),
            std::string::npos)
      << plain;
  EXPECT_NE(plain.find("python scripts/plot.py results/quickstart\n"), std::string::npos) << plain;
}

TEST_F(Scripts, QuickstartContinuesWhatItFinds) {
  std::filesystem::create_directories(folder_.path() / "results/a folder");
  const std::string output = run("quickstart.sh", {"--output=results/a folder"});
  EXPECT_NE(output.find("--resume --output results/a folder\n"), std::string::npos) << output;
}

TEST_F(Scripts, PaperKeepsItsSweepsApartUnderOneOutput) {
  for (const auto& arguments :
       std::vector<std::vector<std::string>>{{"stampvlm", "--limit", "2", "--output", "mine"},
                                             {"stampvlm", "--output=mine", "--limit", "2"}}) {
    const std::string output = run("paper.sh", arguments);
    for (const char* line :
         {"elastikv bench configs/stampvlm/table2.yaml --output mine/table2\n",
          "python scripts/plot_bench.py mine/table2\n",
          "elastikv sweep configs/stampvlm/fig2.yaml --limit 2 --output mine/fig2\n",
          "elastikv sweep configs/stampvlm/fig3.yaml --limit 2 --output mine/fig3\n",
          "python scripts/plot.py mine/fig2\n",
          "elastikv compare mine/table3 --with elastic-cache-table3"})
      EXPECT_NE(output.find(line), std::string::npos) << line << "is missing in\n" << output;
    EXPECT_EQ(output.find("results/"), std::string::npos) << output;
  }
  const std::string plain = run("paper.sh", {});
  EXPECT_NE(
      plain.find("elastikv sweep configs/stampvlm/fig2.yaml --output results/stampvlm/fig2\n"),
      std::string::npos)
      << plain;
}

}  // namespace
}  // namespace elastikv
