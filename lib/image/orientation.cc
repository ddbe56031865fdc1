#include "image/orientation.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/files.h"

namespace elastikv {
namespace {

using namespace std::string_view_literals;

constexpr int kUpright = 1;
constexpr std::string_view kExifMark = "Exif\0\0"sv;
constexpr std::string_view kXmpMark = "http://ns.adobe.com/xap/1.0/\0"sv;

/// What a file says of its image beside the pixels.
struct Notes {
  std::string_view exif;  // a TIFF file, with or without the mark in front
  std::string_view xmp;
};

/// Bytes as numbers of either order; zeros behind the end, which no field needs.
class Numbers {
 public:
  Numbers(std::string_view bytes, bool big_endian) : bytes_(bytes), big_endian_(big_endian) {}

  uint32_t at(size_t place, size_t count) const {
    uint32_t value = 0;
    for (size_t i = 0; i < count; ++i) {
      const size_t from = place + (big_endian_ ? i : count - 1 - i);
      value = value << 8 | (from < bytes_.size() ? static_cast<uint8_t>(bytes_[from]) : 0U);
    }
    return value;
  }
  bool has(size_t place, size_t count) const {
    return place <= bytes_.size() && count <= bytes_.size() - place;
  }

 private:
  std::string_view bytes_;
  bool big_endian_;
};

/// The tag of the first directory of a TIFF file (TIFF 6.0, section 2).
std::optional<int64_t> exif_orientation(std::string_view exif) {
  constexpr uint32_t kTag = 0x0112;
  constexpr size_t kEntry = 12;
  constexpr uint32_t kShort = 3, kLong = 4, kSignedShort = 8, kSignedLong = 9;
  while (exif.starts_with(kExifMark)) exif.remove_prefix(kExifMark.size());
  const bool big_endian = exif.starts_with("MM");
  if (exif.size() < 8 || !(big_endian || exif.starts_with("II"))) return std::nullopt;
  // Pillow takes the 42 in either order too.
  if (exif.substr(2, 2) != "\0\x2a"sv && exif.substr(2, 2) != "\x2a\0"sv) return std::nullopt;
  const Numbers numbers(exif, big_endian);
  const size_t directory = numbers.at(4, 4);
  if (!numbers.has(directory, 2)) return std::nullopt;
  std::optional<int64_t> found;
  const uint32_t entries = numbers.at(directory, 2);
  for (uint32_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + i * kEntry;
    if (!numbers.has(entry, kEntry)) break;
    if (numbers.at(entry, 2) != kTag) continue;
    const uint32_t type = numbers.at(entry + 2, 2);
    const uint32_t count = numbers.at(entry + 4, 4);
    const bool is_short = type == kShort || type == kSignedShort;
    if (!is_short && type != kLong && type != kSignedLong) continue;
    const size_t size = is_short ? 2 : 4;
    if (count == 0) continue;
    const bool inside = count <= 4 / size;
    const size_t place = inside ? entry + 8 : numbers.at(entry + 8, 4);
    if (!inside && !numbers.has(place, size * size_t{count})) continue;
    found = numbers.at(place, size);  // the last of several entries, and its first value
  }
  return found;
}

/// `tiff:Orientation` as an attribute or an element.
std::optional<int64_t> xmp_orientation(std::string_view xmp) {
  constexpr std::string_view kName = "tiff:Orientation";
  for (size_t at = xmp.find(kName); at != std::string_view::npos; at = xmp.find(kName, at + 1)) {
    std::string_view rest = xmp.substr(at + kName.size());
    if (rest.starts_with("=\"")) {
      rest.remove_prefix(2);
    } else if (rest.starts_with('>')) {
      rest.remove_prefix(1);
    } else {
      continue;
    }
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') return rest[0] - '0';
  }
  return std::nullopt;
}

/// Application segments stand before the first scan (ITU-T T.81, annex B).
Notes notes_of_jpeg(std::string_view bytes) {
  const Numbers numbers(bytes, /*big_endian=*/true);
  Notes notes;
  size_t at = 2;
  while (numbers.has(at, 4)) {
    if (numbers.at(at, 1) != 0xFF) {
      ++at;
      continue;
    }
    const uint32_t marker = numbers.at(at + 1, 1);
    if (marker == 0xFF) {  // a fill byte
      ++at;
      continue;
    }
    constexpr uint32_t kStartOfScan = 0xDA, kEndOfImage = 0xD9, kApplication1 = 0xE1;
    if (marker == kStartOfScan || marker == kEndOfImage) break;
    const bool alone = marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD8);
    if (alone) {
      at += 2;
      continue;
    }
    const size_t length = numbers.at(at + 2, 2);
    if (length < 2 || !numbers.has(at + 2, length)) break;
    const std::string_view segment = bytes.substr(at + 4, length - 2);
    if (marker == kApplication1 && segment.starts_with(kExifMark) && notes.exif.empty())
      notes.exif = segment;
    if (marker == kApplication1 && segment.starts_with(kXmpMark))
      notes.xmp = segment.substr(kXmpMark.size());
    at += 2 + length;
  }
  return notes;
}

/// The text of an uncompressed iTXt chunk with XMP (PNG, section 11.3.4.5).
std::string_view png_xmp(std::string_view chunk) {
  // Behind the keyword's end two zeros say that the text stands as it is.
  constexpr std::string_view kKeyword = "XML:com.adobe.xmp\0\0\0"sv;
  if (!chunk.starts_with(kKeyword)) return {};
  // Behind the language and the translated keyword, each with a zero at its end.
  size_t at = chunk.find('\0', kKeyword.size());
  if (at == std::string_view::npos) return {};
  at = chunk.find('\0', at + 1);
  return at == std::string_view::npos ? std::string_view() : chunk.substr(at + 1);
}

Notes notes_of_png(std::string_view bytes) {
  constexpr size_t kSignature = 8;
  const Numbers numbers(bytes, /*big_endian=*/true);
  Notes notes;
  for (size_t at = kSignature; numbers.has(at, 12);) {
    const size_t length = numbers.at(at, 4);
    if (!numbers.has(at + 8, length)) break;
    const std::string_view name = bytes.substr(at + 4, 4);
    const std::string_view data = bytes.substr(at + 8, length);
    if (name == "eXIf") notes.exif = data;
    if (name == "iTXt" && !png_xmp(data).empty()) notes.xmp = png_xmp(data);
    if (name == "IEND") break;
    at += 12 + length;
  }
  return notes;
}

Notes notes_of_webp(std::string_view bytes) {
  const Numbers numbers(bytes, /*big_endian=*/false);
  Notes notes;
  for (size_t at = 12; numbers.has(at, 8);) {
    const size_t length = numbers.at(at + 4, 4);
    if (!numbers.has(at + 8, length)) break;
    const std::string_view name = bytes.substr(at, 4);
    if (name == "EXIF" && notes.exif.empty()) notes.exif = bytes.substr(at + 8, length);
    if (name == "XMP " && notes.xmp.empty()) notes.xmp = bytes.substr(at + 8, length);
    at += 8 + length + length % 2;
  }
  return notes;
}

Notes notes_of(std::string_view bytes) {
  if (bytes.starts_with("\xFF\xD8\xFF")) return notes_of_jpeg(bytes);
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return notes_of_png(bytes);
  if (bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP"))
    return notes_of_webp(bytes);
  return {};
}

/// Whether rows become columns.
bool swaps_sides(int orientation) { return orientation >= 5; }

}  // namespace

int stored_orientation(std::string_view bytes) {
  const Notes notes = notes_of(bytes);
  std::optional<int64_t> found = exif_orientation(notes.exif);
  if (!found) found = xmp_orientation(notes.xmp);
  return found && *found >= 1 && *found <= 8 ? static_cast<int>(*found) : kUpright;
}

int stored_orientation(const std::filesystem::path& file) {
  try {
    const MappedFile mapped(file);
    return stored_orientation(mapped.view());
  } catch (const Error&) {
    return kUpright;  // whoever decodes it says what is wrong
  }
}

ImageSize turned_upright(ImageSize size, int orientation) {
  if (swaps_sides(orientation)) std::swap(size.height, size.width);
  return size;
}

Image turned_upright(Image image, int orientation) {
  ELASTIKV_ASSERT(orientation >= 1 && orientation <= 8, "there is no orientation {}", orientation);
  if (orientation == kUpright) return image;
  const int64_t height = image.size.height;
  const int64_t width = image.size.width;
  Image upright(turned_upright(image.size, orientation));
  // Which end of the stored rows and columns comes first.
  const bool from_bottom =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  for (int64_t y = 0; y < upright.size.height; ++y) {
    uint8_t* to = upright.row(y);
    for (int64_t x = 0; x < upright.size.width; ++x, to += 3) {
      int64_t row = swaps_sides(orientation) ? x : y;
      int64_t column = swaps_sides(orientation) ? y : x;
      if (from_bottom) row = height - 1 - row;
      if (from_right) column = width - 1 - column;
      std::copy_n(image.row(row) + column * 3, 3, to);
    }
  }
  return upright;
}

}  // namespace elastikv
