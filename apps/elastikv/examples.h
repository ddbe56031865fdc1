#pragma once

#include <string>
#include <vector>

#include <CLI/App.hpp>

namespace elastikv {

/// A command that can be copied out of a verb's help. It runs in a clone after
/// scripts/quickstart.sh, from the project's root.
struct Example {
  std::string does;
  /// What follows the program and the verb, as a shell reads it; lines go on after a backslash.
  std::string words;
};

/// Ends the help of a verb with its examples, whole commands each.
void add_examples(CLI::App& verb, const std::vector<Example>& examples);

}  // namespace elastikv
