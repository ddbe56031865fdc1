#include "program.h"

#include <cstdint>
#include <exception>
#include <string>

#include <ATen/core/LegacyTypeDispatch.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <fmt/format.h>
#include <malloc.h>

#include "base/error.h"
#include "base/version.h"
#include "runtime/threads.h"
#include "usage_error.h"
#include "verbs.h"

namespace elastikv {
namespace {

/// sysexits.h's EX_SOFTWARE: the fault is ours, so it must not look like bad input (1) or failed
/// cells (2).
constexpr int kInternalErrorExitCode = 70;

void add_threads(CLI::App& verb, int64_t& threads) {
  verb.add_option("--threads", threads,
                  "Threads that compute on the CPU; by default OMP_NUM_THREADS, or else as many as "
                  "the process has processors to itself (affinity, quota of its control groups)")
      ->check(CLI::Range(int64_t{1}, int64_t{4096}));
}

}  // namespace

int run_program(int argc, char** argv) {
  // Every decode step makes and drops buffers of megabytes (logits of all rows). Handed back to the
  // system each time, they would cost more in page faults than in arithmetic.
  // 32 MiB is the most that glibc takes; it refuses more and would then stay at its 128 KiB.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
  // Nothing here is differentiated: operators need not pass autograd's layer.
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  CLI::App app("ElastiKV measures what KV-cache compression does to vision-language models.",
               "elastikv");
  app.set_version_flag("--version", std::string(version()));
  app.require_subcommand(1);
  Verb chosen;
  int64_t threads = 0;
  add_sweep_verb(app, chosen);
  add_plan_verb(app, chosen);
  add_bench_verb(app, chosen);
  add_report_verb(app, chosen);
  add_compare_verb(app, chosen);
  add_generate_verb(app, chosen);
  add_explain_verb(app, chosen);
  add_export_verb(app, chosen);
  add_score_verb(app, chosen);
  add_list_verb(app, chosen);
  add_inspect_verb(app, chosen);
  for (const char* verb : {"sweep", "plan", "generate", "explain"})
    add_threads(*app.get_subcommand(verb), threads);
  try {
    app.parse(argc, argv);
    use_threads(choose_threads(threads));
    return chosen();
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    fmt::print(stderr, "error: {}\n", usage_message(app, error, argc > 1 ? argv[1] : ""));
    return 1;
  } catch (const InternalError& error) {
    fmt::print(stderr, "{}\nThis is a bug in ElastiKV; please report it with the command line.\n",
               error.what());
    return kInternalErrorExitCode;
  } catch (const Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());  // several lines when it reports a data set
    return 1;
  } catch (const std::exception& error) {
    // LibTorch's own errors go on with a stack trace.
    const std::string text = error.what();
    fmt::print(stderr, "error: {}\n", text.substr(0, text.find('\n')));
    return 1;
  }
}

}  // namespace elastikv
