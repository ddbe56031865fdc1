#include "base/log.h"

#include <cstdio>

namespace elastikv {

void warn_line(std::string_view message) { fmt::print(stderr, "warning: {}\n", message); }

void info_line(std::string_view message) { fmt::print(stderr, "{}\n", message); }

}  // namespace elastikv
