#pragma once

#include <string>

#include <CLI/App.hpp>

namespace elastikv {

/// Shells' scripts that complete the command line of `app`: its verbs, their options, the values of
/// what takes one of a few, and files for everything else. To be read by the shell, or kept where
/// it looks for completions.
std::string bash_completion(const CLI::App& app);
std::string zsh_completion(const CLI::App& app);

}  // namespace elastikv
