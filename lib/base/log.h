#pragma once

#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace elastikv {

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
