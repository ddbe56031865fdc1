#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/program_verbs.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

std::string script_for(const std::string& shell) {
  const ProgramResult result = run_elastikv({"completion", shell});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(result.errors, "");
  return result.output;
}

/// What bash offers for the last of a line's words, as it has cut them; nothing where it is left to
/// offer files.
std::string offered(const std::string& script, const std::vector<std::string>& words) {
  std::vector<std::string> command{
      "bash", "-c",
      R"(eval "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _elastikv; echo "${COMPREPLY[*]}")",
      "bash", script};
  command.insert(command.end(), words.begin(), words.end());
  const ProgramResult result = run_command(command);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.errors, "");
  return result.output.substr(0, result.output.find('\n'));
}

/// The long names of the options that a verb's help lists.
std::set<std::string> options_of(const std::string& verb) {
  std::set<std::string> options;
  std::istringstream lines(run_elastikv({verb, "--help"}).output);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("  -")) continue;
    std::istringstream names(line.substr(2, line.find(' ', 2) - 2));
    for (std::string name; std::getline(names, name, ',');) {
      if (name.starts_with("--")) options.insert(name);
    }
  }
  return options;
}

TEST(Completion, BashOffersVerbsOptionsAndTheirValues) {
  const std::string script = script_for("bash");
  EXPECT_EQ(offered(script, {"elastikv", "s"}), "sweep score");
  EXPECT_EQ(offered(script, {"elastikv", "--v"}), "--version");
  EXPECT_EQ(offered(script, {"elastikv", "sweep", "--me"}), "--memory-limit");
  EXPECT_EQ(offered(script, {"elastikv", "sweep", "a.yaml", "--thr"}), "--threads");
  EXPECT_EQ(offered(script, {"elastikv", "generate", "--growth", ""}), "generation prompt");
  EXPECT_EQ(offered(script, {"elastikv", "generate", "--pixels", "t"}), "torchvision");
  EXPECT_EQ(offered(script, {"elastikv", "compare", "--format", "=", "c"}), "csv");
  EXPECT_EQ(offered(script, {"elastikv", "compare", "--format", "="}), "md csv json");
  EXPECT_EQ(offered(script, {"elastikv", "list", "str"}), "strategies");
  EXPECT_EQ(offered(script, {"elastikv", "completion", ""}), "bash zsh");
}

TEST(Completion, BashOffersFilesForTheRest) {
  const std::string script = script_for("bash");
  EXPECT_EQ(offered(script, {"elastikv", "sweep", ""}), "");
  EXPECT_EQ(offered(script, {"elastikv", "sweep", "--output", "--"}), "");
  EXPECT_EQ(offered(script, {"elastikv", "generate", "-p", ""}), "");
  EXPECT_EQ(offered(script, {"elastikv", "no-such-verb", "--"}), "");
  EXPECT_EQ(run_command({"bash", "-c", "eval \"$1\"; complete -p elastikv", "bash", script}).output,
            "complete -o bashdefault -o default -F _elastikv elastikv\n");
}

TEST(Completion, BashOffersTheOptionsThatHelpLists) {
  const std::string script = script_for("bash");
  for (const std::string& verb : program_verbs()) {
    std::istringstream names(offered(script, {"elastikv", verb, "--"}));
    std::set<std::string> options;
    for (std::string name; names >> name;) options.insert(name);
    EXPECT_EQ(options, options_of(verb)) << verb;
    EXPECT_TRUE(options.contains("--help")) << verb;
  }
}

TEST(Completion, ZshIsToldTheSame) {
  const std::string script = script_for("zsh");
  EXPECT_TRUE(script.starts_with("#compdef elastikv\n")) << script;
  for (const char* line :
       {"'plan:Show the cells of a sweep, ", " '\\''sweep'\\'' would refuse",
        "'(--growth)--growth=[A fraction applies to all tokens so far, or to the prompt "
        "only]:value:(generation prompt)'",
        "'(--prompt --question -p)-p[The question; <image> in it places the "
        "image]:value:_files'",
        "'(--json)--json[Print one JSON object instead of the text]'",
        "'*--set=[KEY=VALUE replaces a value of the file, ", "'1:file:_files'", "'*:runs:_files'",
        "'1:shell:(bash zsh)'",
        "configs/prompts; auto\\: the checkpoint'\\''s own chat template]:value:_files'",
        "compadd -- --help --version\n"})
    EXPECT_NE(script.find(line), std::string::npos) << line << " is missing in\n" << script;

  const TemporaryFolder folder;
  const std::string file = folder.write("_elastikv", script).string();
  const ProgramResult read = run_command({"zsh", "-f", "-n", file});
  if (read.exit_code == 127) GTEST_SKIP() << "no zsh";
  EXPECT_EQ(read.exit_code, 0) << read.errors;
}

TEST(Completion, NeedsAShellThatItKnows) {
  const auto refused = [](const std::vector<std::string>& arguments, const std::string& message) {
    const ProgramResult result = run_elastikv(arguments);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.output, "");
    EXPECT_EQ(result.errors, "error: " + message + " (see elastikv completion --help)\n");
  };
  refused({"completion"}, "shell is required");
  refused({"completion", "fish"}, "shell: fish not in {bash,zsh}");
}

}  // namespace
}  // namespace elastikv
