#include "datasets/encoding.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "base/utf8.h"
#include "text/unicode.h"

namespace elastikv {
namespace {

constexpr std::string_view kUtf16 = "UTF-16; save it as UTF-8";
constexpr std::string_view kUtf32 = "UTF-32; save it as UTF-8";

bool is_high(char byte) { return static_cast<unsigned char>(byte) >= 0x80; }

/// UTF-16 or UTF-32 without a mark, by where its zeros are: text in UTF-8 has none.
std::string_view wide_kind(std::string_view bytes) {
  std::array<size_t, 4> zeros{};  // by place in groups of four
  for (size_t i = 0; i < bytes.size(); ++i) zeros[i % 4] += bytes[i] == '\0' ? 1 : 0;
  const size_t even = zeros[0] + zeros[2];
  const size_t odd = zeros[1] + zeros[3];
  if (even + odd == 0 || bytes.size() % 2 != 0) return "";
  // A character of UTF-32 has one zero at its higher end, and mostly two.
  const size_t units = bytes.size() / 4;
  if (bytes.size() % 4 == 0 &&
      ((zeros[3] == units && zeros[2] * 2 > units) || (zeros[0] == units && zeros[1] * 2 > units)))
    return kUtf32;
  if (std::min(even, odd) * 10 > even + odd) return "";
  // Latin letters have a zero each; of other scripts only blanks and line ends do, and what is left
  // is no UTF-8. One stray zero in a text is neither.
  return (even + odd) * 4 >= bytes.size() || !is_valid_utf8(bytes) ? kUtf16 : "";
}

}  // namespace

std::string_view other_kind_of_file(std::string_view bytes) {
  using namespace std::string_view_literals;
  constexpr std::pair<std::string_view, std::string_view> kMarks[]{
      {"\xff\xfe\0\0"sv, kUtf32},
      {"\0\0\xfe\xff"sv, kUtf32},
      {"\xff\xfe"sv, kUtf16},
      {"\xfe\xff"sv, kUtf16},
      {"PAR1"sv, "Parquet; export it as JSON lines"},
      {"\x1f\x8b"sv, "gzip; unpack it"},
      {"PK\x03\x04"sv, "a zip archive (or a spreadsheet); unpack or export it"},
  };
  for (const auto& [mark, kind] : kMarks) {
    if (bytes.starts_with(mark)) return kind;
  }
  return wide_kind(bytes);
}

bool looks_like_latin1(std::string_view bytes) {
  size_t runs = 0;
  size_t high = 0;
  size_t in_words = 0;  // runs beside a letter of ASCII
  const auto is_letter = [&](size_t at) {
    return at < bytes.size() &&
           ((bytes[at] >= 'a' && bytes[at] <= 'z') || (bytes[at] >= 'A' && bytes[at] <= 'Z'));
  };
  for (size_t at = 0; at < bytes.size();) {
    if (!is_high(bytes[at])) {
      if (bytes[at] == '\0') return false;
      ++at;
      continue;
    }
    if (utf8_step(bytes, at).valid) return false;  // a broken text in UTF-8
    ++runs;
    const bool behind_letter = at > 0 && is_letter(at - 1);
    for (; at < bytes.size() && is_high(bytes[at]); ++at, ++high) {
      if (windows1252_character(static_cast<unsigned char>(bytes[at])) == U'\uFFFD') return false;
    }
    if (behind_letter || is_letter(at)) ++in_words;
  }
  // Other scripts, in one byte a letter or in two, come in longer runs.
  return runs > 0 && high * 2 <= runs * 3 && in_words * 2 >= runs;
}

char32_t windows1252_character(unsigned char byte) {
  // As unicode.org's CP1252.TXT has the places that Latin-1 leaves to controls.
  constexpr std::array<char32_t, 32> kOwn{
      0x20AC, 0xFFFD, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
      0x2039, 0x0152, 0xFFFD, 0x017D, 0xFFFD, 0xFFFD, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
      0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0xFFFD, 0x017E, 0x0178};
  return byte >= 0x80 && byte < 0xA0 ? kOwn[byte - 0x80] : char32_t{byte};
}

}  // namespace elastikv
