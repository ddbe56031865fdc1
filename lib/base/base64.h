#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace elastikv {

/// Bytes as base64 text (RFC 4648: padded, without line ends).
std::string encode_base64(std::string_view bytes);

/// The bytes that base64 text (RFC 4648, padded, no white space) stands for; nothing when it is
/// empty or malformed.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace elastikv
