#pragma once

#include <string>
#include <string_view>

namespace elastikv {

/// Bytes as base64 text (RFC 4648: padded, without line ends).
std::string encode_base64(std::string_view bytes);

}  // namespace elastikv
