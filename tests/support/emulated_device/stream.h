#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>

#include "support/emulated_device/counters.h"

namespace elastikv::emulated {

/// The device's one queue of work. What is put into it runs later, in order: when the host waits
/// for the device, or when much has come together. Until then the device's memory holds what it
/// held before, and what the work reads on the host may still change: exactly what goes wrong on a
/// GPU where a wait is missing. Work runs on the thread that waits, with the memory open.
class Stream {
 public:
  /// Never destroyed, as Memory.
  static Stream& instance();

  void enqueue(std::function<void()> work);
  /// enqueue(), counted as a launch.
  void launch(std::function<void()> work);
  /// Runs all that is queued; rethrows what a piece of work throws, which is dropped.
  void drain();
  /// drain(), counted as a wait of the host.
  void synchronise();
  /// Runs `work` now, behind all that is queued.
  void run(const std::function<void()>& work);

  /// Pieces of work that were queued and that have run, ever.
  int64_t queued() const;
  int64_t finished() const;

  Counters& counters() { return counters_; }

 private:
  class Open;

  mutable std::recursive_mutex mutex_;
  std::deque<std::function<void()>> work_;
  int64_t queued_ = 0;
  int64_t finished_ = 0;
  bool open_ = false;
  Counters counters_;
};

}  // namespace elastikv::emulated
