#include "base/base64.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace elastikv {
namespace {

constexpr uint32_t kNoDigit = 64;

constexpr std::array<uint8_t, 256> digit_values() {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<uint8_t, 256> values{};
  values.fill(kNoDigit);
  for (size_t i = 0; i < kDigits.size(); ++i) {
    values[static_cast<unsigned char>(kDigits[i])] = static_cast<uint8_t>(i);
  }
  return values;
}

}  // namespace

std::optional<std::string> decode_base64(std::string_view text) {
  static constexpr std::array<uint8_t, 256> kValues = digit_values();
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  const size_t digits = text.size() - padding;
  std::string bytes(text.size() / 4 * 3, '\0');
  size_t written = 0;
  for (size_t i = 0; i < text.size(); i += 4) {
    uint32_t bits = 0;
    for (size_t k = i; k < i + 4; ++k) {
      const uint32_t value = k < digits ? kValues[static_cast<unsigned char>(text[k])] : 0;
      if (value == kNoDigit) return std::nullopt;
      bits = (bits << 6) | value;
    }
    bytes[written++] = static_cast<char>(bits >> 16);
    bytes[written++] = static_cast<char>((bits >> 8) & 0xFF);
    bytes[written++] = static_cast<char>(bits & 0xFF);
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

}  // namespace elastikv
