#include "base/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include "base/files.h"

namespace elastikv {

std::string content_hash(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string file_hash(const std::filesystem::path& file) {
  const MappedFile mapped(file);
  return content_hash(mapped.view());
}

}  // namespace elastikv
