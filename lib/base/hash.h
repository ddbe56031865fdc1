#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace elastikv {

/// 128-bit XXH3 of some bytes as 32 hexadecimal digits: names content (record keys, provenance), no
/// security meant.
std::string content_hash(std::string_view bytes);

/// The same of a whole file, read through a memory map.
std::string file_hash(const std::filesystem::path& file);

}  // namespace elastikv
