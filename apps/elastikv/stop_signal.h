#pragma once

namespace elastikv {

/// While one of these lives, the first Ctrl-C (or SIGTERM) is noted, so that work can end in order;
/// a second one ends the program at once.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  bool requested() const;
};

}  // namespace elastikv
