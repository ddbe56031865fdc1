#pragma once

#include <string>

namespace elastikv {

/// The commit that the program was built from, "(modified)" behind it when files of it had been
/// changed; "unknown" for a source tree without git.
std::string source_version();

}  // namespace elastikv
