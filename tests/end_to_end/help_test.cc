#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/paths.h"
#include "support/program_verbs.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

using Words = std::vector<std::string>;

/// The commands that a shell finds at the end of a verb's help, each with its words after the
/// program's name.
std::vector<Words> examples_of(const std::string& verb) {
  const std::string help = run_elastikv({verb, "--help"}).output;
  const std::string heading = "\nExamples:\n";
  const size_t at = help.find(heading);
  if (at == std::string::npos) return {};
  const TemporaryFolder folder;
  const auto program =
      folder.write("build/release/bin/elastikv", "#!/bin/sh\nprintf '%s\\037' \"$@\"\necho\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  const ProgramResult result =
      run_command({"bash", "-e", "-c", "cd \"$1\"; eval \"$2\"", "bash", folder.path().string(),
                   help.substr(at + heading.size())});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  std::vector<Words> commands;
  std::istringstream lines(result.output);
  for (std::string line; std::getline(lines, line);) {
    Words& words = commands.emplace_back();
    std::istringstream parts(line);
    for (std::string word; std::getline(parts, word, '\037');) words.push_back(word);
  }
  return commands;
}

/// What is wrong with command lines, a line for each.
std::string problems_of(const std::vector<Words>& commands) {
  std::string input;
  for (const Words& words : commands) input += nlohmann::json(words).dump() + "\n";
  const ProgramResult result = run_command({program_path("parse_commands")}, input);
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  return result.output;
}

TEST(Help, EveryVerbHasIt) {
  for (const std::string& verb : program_verbs()) {
    const ProgramResult help = run_elastikv({verb, "--help"});
    EXPECT_EQ(help.exit_code, 0) << verb;
    EXPECT_EQ(help.errors, "") << verb;
    EXPECT_NE(help.output.find("Usage: elastikv " + verb), std::string::npos) << help.output;
  }
}

TEST(Help, EveryVerbHasExamplesThatTheProgramTakes) {
  for (const std::string& verb : program_verbs()) {
    const std::vector<Words> commands = examples_of(verb);
    ASSERT_GE(commands.size(), 2U) << verb;
    EXPECT_EQ(problems_of(commands), std::string(commands.size(), '\n')) << verb;
    for (const Words& words : commands) {
      EXPECT_EQ(words.front(), verb);
      for (const std::string& word : words) {
        if (word.starts_with("configs/") || word.starts_with("datasets/") ||
            word.starts_with("tests/")) {
          EXPECT_TRUE(std::filesystem::exists(source_path(word))) << verb << ": " << word;
        }
      }
    }
  }
}

TEST(Help, WhatTheProgramRefusesIsNoExample) {
  EXPECT_EQ(problems_of({{"sweep"},
                         {"sweep", "a.yaml", "--limit", "2"},
                         {"compare", "--format", "html"},
                         {"swep"},
                         {},
                         {"--version"}}),
            "file is required (see elastikv sweep --help)\n"
            "\n"
            "--format: html not in {md,csv,json} (see elastikv compare --help)\n"
            "unknown verb 'swep'; did you mean 'sweep'? (see elastikv --help)\n"
            "a verb is needed: sweep, plan, bench, report, merge, compare, generate, explain, "
            "export, score, list, inspect, inspect-data, make-task, check-strategy, completion "
            "(see elastikv --help)\n"
            "\n");
}

}  // namespace
}  // namespace elastikv
