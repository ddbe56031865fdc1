#pragma once

#include <string>
#include <vector>

#include "verbs.h"

namespace elastikv {

/// The whole program: parses the command line, runs the verb, prints what it throws and returns the
/// exit code.
int run_program(int argc, char** argv);

/// `elastikv sweep WORDS` for another program, in its process: `watch` takes the place of the
/// terminal and of Ctrl-C, and results are not printed; warnings still are. Throws what run_program
/// would print, also a wrong command line as Error. Returns the exit code.
int run_watched_sweep(const std::vector<std::string>& words, SweepWatch& watch);

}  // namespace elastikv
