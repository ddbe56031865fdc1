#include "base/error.h"

namespace elastikv::detail {

void assertion_failed(const char* condition, const char* file, int line,
                      const std::string& message) {
  throw InternalError(
      fmt::format("internal error at {}:{}: {} ({})", file, line, message, condition));
}

}  // namespace elastikv::detail
