#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace elastikv {

/// What every line to standard error begins with from here on: which of several processes it is.
void set_log_prefix(std::string prefix);
const std::string& log_prefix();

/// Prints "warning: ..." to standard error. Standard output belongs to results.
void warn_line(std::string_view message);
/// Prints a line of information to standard error.
void info_line(std::string_view message);

template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  warn_line(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void inform(fmt::format_string<Args...> format, Args&&... args) {
  info_line(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace elastikv
