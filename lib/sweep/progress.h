#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>

#include "sweep/engine.h"

namespace elastikv {

/// Tells a waiting person how far a sweep is: samples done, rate, remaining time and a running
/// metric; and within a sample the phase, its steps, the cells that run together and the time that
/// it still takes. On a terminal one line is rewritten in place; elsewhere a line is printed after
/// the first sample, then at most every half minute, and at the end. Another program that runs the
/// sweep takes the lines itself.
class Progress final {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;
  /// Takes a line, and how many of all samples need no work any more.
  using Watch = std::function<void(int64_t done, int64_t total, const std::string& line)>;

  /// Prints to `out`, or nothing without one; in place when that is a terminal.
  explicit Progress(std::FILE* out);
  Progress(std::FILE* out, bool in_place, Clock clock);
  /// Prints nothing: `watch` gets each line that a terminal would show.
  explicit Progress(Watch watch);

  /// `done` of `total` samples need no work any more.
  void begin(int64_t total, int64_t done);
  /// A line of its own: what is going on now.
  void say(const std::string& line);
  /// Where the work on the sample at hand is.
  void phase(const PhaseProgress& progress);
  /// One more sample, with the running metric as text (may be empty).
  void sample_done(const std::string& metric);
  /// Of several ranks that do the samples together: what they have done by now, and how many live.
  /// It takes the place of sample_done.
  void ranks_done(int64_t done, int64_t alive);
  /// Ends the line that is rewritten.
  void finish();
  /// Goes on in a file, each line with a text in front.
  void go_on_in(std::FILE* out, std::string prefix);

 private:
  void clear_line();
  void show_done(const std::string& more);
  /// Rewrites the line in place, or prints another one.
  void show(const std::string& line);

  std::FILE* out_;
  bool in_place_;
  Clock clock_;
  Watch watch_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_line_;
  int64_t total_ = 0;
  int64_t done_ = 0;
  int64_t evaluated_ = 0;  // in this run: what the rate is made from
  std::string prefix_;
  bool open_line_ = false;
  std::string phase_;  // the last one's
  std::chrono::steady_clock::time_point phase_start_;
  std::chrono::steady_clock::time_point last_phase_line_;
};

/// "0:07", "12:34", "1:02:03".
std::string duration_text(double seconds);

}  // namespace elastikv
