#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "verbs.h"

namespace elastikv {

/// The program's command line: its verbs with their options, and what a line of it asks for.
class CommandLine {
 public:
  /// `watch` (null: none) is for a sweep, and has to live as long as this.
  explicit CommandLine(SweepWatch* watch = nullptr);
  // The verbs' options refer to the members.
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  /// Takes the words after the program's name; runs nothing. CLI::ParseError for whatever `problem`
  /// says in one line, and, with exit code 0, for --help and --version.
  void parse(const std::vector<std::string>& words);
  std::string problem(const CLI::ParseError& error) const;

  const CLI::App& app() const { return app_; }
  /// What the line asks for, once it is parsed.
  const Verb& verb() const { return verb_; }
  /// Of --threads, 0 without it.
  int64_t threads() const { return threads_; }

 private:
  CLI::App app_;
  Verb verb_;
  int64_t threads_ = 0;
  std::string first_word_;
};

}  // namespace elastikv
