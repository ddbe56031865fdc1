#include "command_line.h"

#include <utility>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>

#include "base/version.h"
#include "usage_error.h"

namespace elastikv {
namespace {

void add_threads(CLI::App& verb, int64_t& threads) {
  verb.add_option("--threads", threads,
                  "Threads that compute on the CPU; by default OMP_NUM_THREADS, or else as many as "
                  "the process has processors to itself (affinity, quota of its control groups)")
      ->check(CLI::Range(int64_t{1}, int64_t{4096}));
}

}  // namespace

CommandLine::CommandLine(SweepWatch* watch)
    : app_("ElastiKV measures what KV-cache compression does to vision-language models.",
           "elastikv") {
  app_.set_version_flag("--version", std::string(version()));
  app_.require_subcommand(1);
  add_sweep_verb(app_, verb_, watch);
  add_plan_verb(app_, verb_);
  add_bench_verb(app_, verb_);
  add_report_verb(app_, verb_);
  add_merge_verb(app_, verb_);
  add_compare_verb(app_, verb_);
  add_generate_verb(app_, verb_);
  add_explain_verb(app_, verb_);
  add_export_verb(app_, verb_);
  add_score_verb(app_, verb_);
  add_list_verb(app_, verb_);
  add_inspect_verb(app_, verb_);
  add_inspect_data_verb(app_, verb_);
  add_make_task_verb(app_, verb_);
  add_completion_verb(app_, verb_);
  for (const char* verb : {"sweep", "plan", "generate", "explain"})
    add_threads(*app_.get_subcommand(verb), threads_);
}

void CommandLine::parse(const std::vector<std::string>& words) {
  first_word_ = words.empty() ? "" : words.front();
  std::vector<std::string> reversed(words.rbegin(), words.rend());  // as CLI11 takes them
  app_.parse(std::move(reversed));
}

std::string CommandLine::problem(const CLI::ParseError& error) const {
  return usage_message(app_, error, first_word_);
}

}  // namespace elastikv
