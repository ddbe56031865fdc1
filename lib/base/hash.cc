#include "base/hash.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

#include <fmt/format.h>
#include <xxhash.h>

namespace elastikv {

namespace {

std::string text_of(const XXH128_hash_t& hash) {
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace

std::string content_hash(std::string_view bytes) {
  return text_of(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string content_hash(const MappedFile& file) {
  constexpr size_t kPiece = size_t{32} << 20;
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       &XXH3_freeState);
  if (state == nullptr) throw std::bad_alloc();
  XXH3_128bits_reset(state.get());
  for (size_t begin = 0; begin < file.size(); begin += kPiece) {
    const size_t size = std::min(kPiece, file.size() - begin);
    XXH3_128bits_update(state.get(), file.data() + begin, size);
    file.release(begin, size);
  }
  return text_of(XXH3_128bits_digest(state.get()));
}

std::string file_hash(const std::filesystem::path& file) { return content_hash(MappedFile(file)); }

}  // namespace elastikv
