#include "program.h"

#include <algorithm>
#include <exception>
#include <string>
#include <vector>

#include <ATen/core/LegacyTypeDispatch.h>
#include <CLI/Error.hpp>
#include <fmt/format.h>
#include <malloc.h>

#include "base/error.h"
#include "base/log.h"
#include "command_line.h"
#include "runtime/threads.h"

namespace elastikv {
namespace {

/// sysexits.h's EX_SOFTWARE: the fault is ours, so it must not look like bad input (1) or failed
/// cells (2).
constexpr int kInternalErrorExitCode = 70;

void keep_freed_memory() {
  // Every decode step makes and drops buffers of megabytes (logits of all rows). Handed back to the
  // system each time, they would cost more in page faults than in arithmetic.
  // 32 MiB is the most that glibc takes; it refuses more and would then stay at its 128 KiB.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
}

}  // namespace

int run_program(int argc, char** argv) {
  keep_freed_memory();
  // Nothing here is differentiated: operators need not pass autograd's layer.
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  CommandLine line;
  try {
    line.parse(std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
    use_threads(choose_threads(line.threads()));
    return line.verb()();
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return line.app().exit(error);  // --help, --version
    fmt::print(stderr, "error: {}\n", line.problem(error));
    return 1;
  } catch (const InternalError& error) {
    fmt::print(stderr, "{}{}\nThis is a bug in ElastiKV; please report it with the command line.\n",
               log_prefix(), error.what());
    return kInternalErrorExitCode;
  } catch (const Error& error) {
    // Several lines when it reports a data set.
    fmt::print(stderr, "{}error: {}\n", log_prefix(), error.what());
    return 1;
  } catch (const std::exception& error) {
    // LibTorch's own errors go on with a stack trace.
    const std::string text = error.what();
    fmt::print(stderr, "{}error: {}\n", log_prefix(), text.substr(0, text.find('\n')));
    return 1;
  }
}

int run_watched_sweep(const std::vector<std::string>& words, SweepWatch& watch) {
  keep_freed_memory();
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  CommandLine line(&watch);
  std::vector<std::string> all{"sweep"};
  all.insert(all.end(), words.begin(), words.end());
  try {
    line.parse(all);
  } catch (const CLI::ParseError& error) {
    fail("{}", line.problem(error));
  }
  use_threads(choose_threads(line.threads()));
  return line.verb()();
}

}  // namespace elastikv
