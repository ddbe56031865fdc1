#include "stop_signal.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>

namespace elastikv {
namespace {

std::atomic<bool> stop_asked{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set from a signal handler");

constexpr std::array<int, 2> kSignals = {SIGINT, SIGTERM};
/// What they did before.
std::array<struct sigaction, kSignals.size()> before{};

/// Gives back what a signal does; from its handler, too.
void give_back(int signal) {
  for (size_t i = 0; i < kSignals.size(); ++i) {
    if (kSignals[i] == signal) sigaction(signal, &before[i], nullptr);
  }
}

}  // namespace

StopSignal::StopSignal() {
  stop_asked = false;
  struct sigaction action {};
  action.sa_handler = [](int signal) {
    stop_asked = true;
    give_back(signal);
  };
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &before[i]);
}

StopSignal::~StopSignal() {
  for (const int signal : kSignals) give_back(signal);
}

bool StopSignal::requested() const { return stop_asked; }

}  // namespace elastikv
