#include "sweep/progress.h"

#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace elastikv {
namespace {
constexpr std::chrono::seconds kLinePause{30};
}  // namespace

Progress::Progress(std::FILE* out)
    : Progress(out, isatty(fileno(out)) != 0, [] { return std::chrono::steady_clock::now(); }) {}

Progress::Progress(std::FILE* out, bool in_place, Clock clock)
    : out_(out), in_place_(in_place), clock_(std::move(clock)) {}

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
  fmt::print(out_, "{}\n", line);
  std::fflush(out_);
  // Loading a model is no sample's time.
  if (evaluated_ == 0) start_ = clock_();
}

void Progress::sample_done(const std::string& metric) {
  ++done_;
  ++evaluated_;
  const auto now = clock_();
  const double seconds = std::chrono::duration<double>(now - start_).count();
  std::string line = fmt::format("{}/{} samples", done_, total_);
  if (seconds > 0) {
    const double rate = static_cast<double>(evaluated_) / seconds;
    line += fmt::format(" | {:.2f}/s | {} left", rate,
                        duration_text(static_cast<double>(total_ - done_) / rate));
  }
  if (!metric.empty()) line += " | " + metric;
  if (in_place_) {
    fmt::print(out_, "\r{}\033[K", line);
    open_line_ = true;
  } else if (evaluated_ == 1 || done_ == total_ || now - last_line_ >= kLinePause) {
    fmt::print(out_, "{}\n", line);
    last_line_ = now;
  }
  std::fflush(out_);
}

void Progress::finish() {
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
