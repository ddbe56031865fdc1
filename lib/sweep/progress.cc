#include "sweep/progress.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace elastikv {
namespace {
constexpr std::chrono::seconds kLinePause{30};
constexpr std::chrono::milliseconds kPhasePause{100};  // on a terminal
}  // namespace

Progress::Progress(std::FILE* out)
    : Progress(out, out != nullptr && isatty(fileno(out)) != 0,
               [] { return std::chrono::steady_clock::now(); }) {}

Progress::Progress(std::FILE* out, bool in_place, Clock clock)
    : out_(out), in_place_(in_place), clock_(std::move(clock)) {}

Progress::Progress(Watch watch)
    : Progress(nullptr, /*in_place=*/true, [] { return std::chrono::steady_clock::now(); }) {
  watch_ = std::move(watch);
}

void Progress::begin(int64_t total, int64_t done) {
  total_ = total;
  done_ = done;
  evaluated_ = 0;
  start_ = clock_();
}

void Progress::clear_line() {
  if (open_line_) fmt::print(out_, "\r\033[K");
  open_line_ = false;
}

void Progress::say(const std::string& line) {
  clear_line();
  if (watch_) watch_(done_, total_, line);
  if (out_ != nullptr) {
    fmt::print(out_, "{}{}\n", prefix_, line);
    std::fflush(out_);
  }
  // Loading a model is no sample's time.
  if (evaluated_ == 0) start_ = clock_();
}

void Progress::go_on_in(std::FILE* out, std::string prefix) {
  finish();
  out_ = out;
  in_place_ = false;
  prefix_ = std::move(prefix);
}

void Progress::show(const std::string& line) {
  if (watch_) watch_(done_, total_, line);
  if (out_ == nullptr) return;
  if (in_place_) {
    fmt::print(out_, "\r{}\033[K", line);
    open_line_ = true;
  } else {
    fmt::print(out_, "{}{}\n", prefix_, line);
  }
  std::fflush(out_);
}

void Progress::phase(const PhaseProgress& progress) {
  const auto now = clock_();
  // A batch of a phase begins; one that cells leave goes on.
  if (progress.done == 0 || progress.phase != phase_) phase_start_ = now;
  phase_ = progress.phase;
  const auto since = now - std::max({start_, last_line_, last_phase_line_});
  if (since < (in_place_ ? std::chrono::steady_clock::duration(kPhasePause) : kLinePause)) return;
  last_phase_line_ = now;
  std::string line = fmt::format("{}/{} samples | {}", done_, total_, progress.phase);
  if (progress.rows > 0)
    line += progress.rows == 1 ? ", 1 cell" : fmt::format(", {} cells together", progress.rows);
  line += fmt::format(": {} {} of {}", progress.unit, progress.done + 1, progress.of);
  const double seconds = std::chrono::duration<double>(now - phase_start_).count();
  if (progress.done > 0 && seconds > 0) {
    const auto left = static_cast<double>(progress.of - progress.done);
    line += fmt::format(" | {} left",
                        duration_text(seconds / static_cast<double>(progress.done) * left));
  }
  show(line);
}

void Progress::sample_done(const std::string& metric) {
  ++done_;
  ++evaluated_;
  show_done(metric);
}

void Progress::ranks_done(int64_t done, int64_t alive) {
  if (done <= done_) return;
  evaluated_ += done - done_;
  done_ = done;
  show_done(fmt::format("{} rank{}", alive, alive == 1 ? "" : "s"));
}

void Progress::show_done(const std::string& more) {
  const auto now = clock_();
  const double seconds = std::chrono::duration<double>(now - start_).count();
  std::string line = fmt::format("{}/{} samples", done_, total_);
  if (seconds > 0) {
    const double rate = static_cast<double>(evaluated_) / seconds;
    line += fmt::format(" | {:.2f}/s | {} left", rate,
                        duration_text(static_cast<double>(total_ - done_) / rate));
  }
  if (!more.empty()) line += " | " + more;
  if (!in_place_) {
    if (evaluated_ > 1 && done_ < total_ && now - last_line_ < kLinePause) return;
    last_line_ = now;
  }
  show(line);
}

void Progress::finish() {
  if (out_ == nullptr) return;
  if (open_line_) fmt::print(out_, "\n");
  open_line_ = false;
  std::fflush(out_);
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::ceil(seconds));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace elastikv
