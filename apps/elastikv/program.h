#pragma once

namespace elastikv {

/// The whole program: parses the command line, runs the verb, prints what it throws and returns the
/// exit code.
int run_program(int argc, char** argv);

}  // namespace elastikv
