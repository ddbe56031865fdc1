#pragma once

#include <filesystem>
#include <functional>

#include <CLI/App.hpp>

#include "sweep/progress.h"

namespace elastikv {

/// What the user asked for, once the command line is parsed: does the work and returns the exit
/// code (0 complete, 2 some cells failed, 130 interrupted). An Error that it throws is printed and
/// becomes exit code 1.
using Verb = std::function<int()>;

/// Who looks after a sweep in place of a terminal: another program, in whose process it runs.
struct SweepWatch {
  Progress::Watch progress;
  /// Asked between samples and within them: whether to end in order.
  std::function<bool()> should_stop;
  /// Set once the sweep's file is read: where its records and tables are.
  std::filesystem::path output;
};

/// What --no-graphs says, of the verbs that decode.
inline constexpr const char* kNoGraphs =
    "Start the kernels of every decode step on a GPU one by one instead of as a CUDA graph; "
    "results "
    "are the same, and on the CPU so is everything";

// One function per verb, defined in VERB.cpp: adds the subcommand with its options and, from the
// subcommand's callback, sets `chosen`. Nothing runs before the whole command line is known to be
// right, so a callback must not do the work itself. Options live in a shared_ptr that the verb
// holds.

void add_bench_verb(CLI::App& app, Verb& chosen);
void add_compare_verb(CLI::App& app, Verb& chosen);
/// It writes of all of `app`, which has to live until `chosen` has run.
void add_completion_verb(CLI::App& app, Verb& chosen);
void add_explain_verb(CLI::App& app, Verb& chosen);
void add_export_verb(CLI::App& app, Verb& chosen);
void add_generate_verb(CLI::App& app, Verb& chosen);
void add_inspect_verb(CLI::App& app, Verb& chosen);
void add_inspect_data_verb(CLI::App& app, Verb& chosen);
void add_list_verb(CLI::App& app, Verb& chosen);
void add_make_task_verb(CLI::App& app, Verb& chosen);
void add_merge_verb(CLI::App& app, Verb& chosen);
void add_plan_verb(CLI::App& app, Verb& chosen);
void add_report_verb(CLI::App& app, Verb& chosen);
void add_score_verb(CLI::App& app, Verb& chosen);
/// With a watch, the sweep is another program's; it has to live until `chosen` has run.
void add_sweep_verb(CLI::App& app, Verb& chosen, SweepWatch* watch);

}  // namespace elastikv
