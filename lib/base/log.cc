#include "base/log.h"

#include <atomic>
#include <cstdio>

namespace elastikv {
namespace {
std::atomic<bool> quiet_lines{false};
}  // namespace

void warn_line(std::string_view message) { fmt::print(stderr, "warning: {}\n", message); }

void info_line(std::string_view message) {
  if (!quiet_lines) fmt::print(stderr, "{}\n", message);
}

void set_quiet(bool quiet) { quiet_lines = quiet; }

}  // namespace elastikv
