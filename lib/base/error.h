#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace elastikv {

/// A failure that the user can mend: a wrong file, key, value, name or option. The message
/// says what was wrong, where, and what would be right, in one line unless it reports everything
/// that is wrong with a data set; the program prints it and exits with code 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A broken promise inside ElastiKV: our bug, never the user's.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Throws Error with a formatted message.
template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

namespace detail {
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line,
                                   const std::string& message);
}  // namespace detail

}  // namespace elastikv

/// Checks a promise of our own code; throws InternalError naming the place. Not for user input: use
/// fail().
#define ELASTIKV_ASSERT(condition, ...)                                    \
  do {                                                                     \
    if (!(condition)) {                                                    \
      ::elastikv::detail::assertion_failed(#condition, __FILE__, __LINE__, \
                                           fmt::format(__VA_ARGS__));      \
    }                                                                      \
  } while (false)
