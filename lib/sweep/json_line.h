#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace elastikv {

/// JSON as one line without its end. A generated text may end inside a character, and a path may
/// hold any bytes; what is written must still be JSON: bytes that are no UTF-8 become U+FFFD.
inline std::string json_line(const nlohmann::ordered_json& json) {
  return json.dump(/*indent=*/-1, /*indent_char=*/' ', /*ensure_ascii=*/false,
                   nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace elastikv
