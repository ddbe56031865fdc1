#include "base/log.h"

#include <cstdio>
#include <utility>

namespace elastikv {

namespace {

std::string& prefix_in_use() {
  static std::string prefix;
  return prefix;
}

}  // namespace

void set_log_prefix(std::string prefix) { prefix_in_use() = std::move(prefix); }

const std::string& log_prefix() { return prefix_in_use(); }

void warn_line(std::string_view message) {
  fmt::print(stderr, "{}warning: {}\n", log_prefix(), message);
}

void info_line(std::string_view message) { fmt::print(stderr, "{}{}\n", log_prefix(), message); }

}  // namespace elastikv
