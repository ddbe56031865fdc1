#include "stop_signal.h"

#include <atomic>
#include <csignal>

namespace elastikv {
namespace {

std::atomic<bool> stop_asked{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set from a signal handler");

void set_handler(void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

StopSignal::StopSignal() {
  set_handler([](int) { stop_asked = true; }, SA_RESETHAND);
}

StopSignal::~StopSignal() { set_handler(SIG_DFL, 0); }

bool StopSignal::requested() const { return stop_asked; }

}  // namespace elastikv
