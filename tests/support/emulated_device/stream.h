#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

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
  /// A launch, of whatever is put into it afterwards.
  void count_launch();
  /// Runs `work`, which is no work of the device, when all is done that is queued by now.
  void after_all(std::function<void()> work);
  /// Runs all that is queued; rethrows what a piece of work throws, which is dropped.
  void drain();
  /// drain(), counted as a wait of the host.
  void synchronise();
  /// Runs `work` now, behind all that is queued.
  void run(const std::function<void()>& work);

  /// Pieces of work that were queued and that have run, ever.
  int64_t queued() const;
  int64_t finished() const;

  /// Until end_recording() what this thread puts into the stream is put down instead, and counts as
  /// nothing; waiting fails, and so does run().
  void begin_recording();
  std::vector<std::function<void()>> end_recording();
  /// Fails as CUDA does where this thread records; `what` it was about to do.
  void require_not_recording(const char* what) const;

  Counters& counters() { return counters_; }

 private:
  class Open;

  bool is_recording() const { return recorder_ == std::this_thread::get_id(); }

  mutable std::recursive_mutex mutex_;
  std::deque<std::function<void()>> work_;
  int64_t queued_ = 0;
  int64_t finished_ = 0;
  bool open_ = false;
  std::thread::id recorder_;                      // of the thread that records; none: nobody
  std::vector<std::function<void()>> recording_;  // of that thread
  Counters counters_;
};

}  // namespace elastikv::emulated
