#pragma once

namespace elastikv {

/// While one of these lives, the first Ctrl-C (or SIGTERM) is noted, so that work can end in order;
/// a second one does what it did before: it ends the program at once, unless whoever runs the
/// program in a process of its own had other plans. One at a time.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  bool requested() const;
};

}  // namespace elastikv
