#include "support/emulated_device/fault.h"

#include <csignal>
#include <cstring>
#include <string>

#include <execinfo.h>
#include <unistd.h>

#include "support/emulated_device/memory.h"

namespace elastikv::emulated {
namespace {

struct sigaction before;

void write_all(const std::string& text) {
  // The process ends here; what cannot be written is lost.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
}

void on_fault(int /*signal*/, siginfo_t* info, void* /*context*/) {
  if (Memory::instance().contains(info->si_addr)) {
    write_all("host code touched device memory: " + Memory::instance().place_of(info->si_addr) +
              "\n");
    constexpr int kCalls = 32;
    void* calls[kCalls];
    backtrace_symbols_fd(calls, backtrace(calls, kCalls), STDERR_FILENO);
  }
  // The access is tried again, and ends as it would without this handler.
  sigaction(SIGSEGV, &before, nullptr);
}

}  // namespace

void report_faults() {
  struct sigaction action;
  std::memset(&action, 0, sizeof action);
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  sigaction(SIGSEGV, &action, &before);
}

}  // namespace elastikv::emulated
