#pragma once

#include <string_view>

namespace elastikv {

/// What a file is by its first bytes, with its article ("a GIF image"), when it is of a common
/// format that is not read; empty when it is not known.
std::string_view unread_image_format(std::string_view bytes);

}  // namespace elastikv
