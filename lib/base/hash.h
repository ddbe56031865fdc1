#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/files.h"

namespace elastikv {

/// 128-bit XXH3 of some bytes as 32 hexadecimal digits: names content (record keys, provenance), no
/// security meant.
std::string content_hash(std::string_view bytes);

/// The same of all bytes of a file. What was read is let go of piece by piece, so that a file as
/// large as memory does not fill it.
std::string content_hash(const MappedFile& file);
std::string file_hash(const std::filesystem::path& file);

}  // namespace elastikv
