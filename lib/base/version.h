#pragma once

#include <string_view>

namespace elastikv {

/// The project's version as the build knows it, for example "0.2.0".
std::string_view version();

}  // namespace elastikv
