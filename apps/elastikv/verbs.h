#pragma once

#include <functional>

#include <CLI/App.hpp>

namespace elastikv {

/// What the user asked for, once the command line is parsed: does the work and returns the exit
/// code (0 complete, 2 some cells failed, 130 interrupted). An Error that it throws is printed and
/// becomes exit code 1.
using Verb = std::function<int()>;

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
void add_check_strategy_verb(CLI::App& app, Verb& chosen);
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
void add_sweep_verb(CLI::App& app, Verb& chosen);

}  // namespace elastikv
