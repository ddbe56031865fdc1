#include "text/byte_level.h"

#include <array>

#include "base/utf8.h"

namespace elastikv {
namespace {

constexpr char32_t kFirstStandIn = 0x100;
constexpr char32_t kLettersEnd = kFirstStandIn + 68;

constexpr bool is_printable(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Tables {
  std::array<char32_t, 256> letter{};
  std::array<int, kLettersEnd> byte{};  // -1: no letter
  constexpr Tables() {
    byte.fill(-1);
    char32_t next = kFirstStandIn;
    for (unsigned value = 0; value < 256; ++value) {
      letter[value] = is_printable(value) ? value : next++;
      byte[letter[value]] = static_cast<int>(value);
    }
  }
};

constexpr Tables kTables;

}  // namespace

std::string bytes_to_letters(std::string_view bytes) {
  std::string letters;
  letters.reserve(bytes.size() * 2);
  for (const char byte : bytes) {
    append_utf8(letters, kTables.letter[static_cast<unsigned char>(byte)]);
  }
  return letters;
}

std::optional<std::string> letters_to_bytes(std::string_view letters) {
  std::string bytes;
  bytes.reserve(letters.size());
  for (size_t at = 0; at < letters.size();) {
    const Utf8Step step = utf8_step(letters, at);
    if (step.character >= kLettersEnd || kTables.byte[step.character] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kTables.byte[step.character]));
    at += step.size;
  }
  return bytes;
}

}  // namespace elastikv
