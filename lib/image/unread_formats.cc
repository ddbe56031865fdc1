#include "image/unread_formats.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace elastikv {
namespace {

using namespace std::string_view_literals;

/// What an ISO media file (ISO/IEC 14496-12, section 4.3) says it is: the brand of its first box,
/// which may be a general one, and those that it is compatible with.
std::string_view iso_media_format(std::string_view bytes) {
  constexpr std::string_view kHeic = "a HEIC image, as telephones write them";
  constexpr std::string_view kAvif = "an AVIF image";
  constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kBrands{{{"heic", kHeic},
                                                                                  {"heix", kHeic},
                                                                                  {"heim", kHeic},
                                                                                  {"heis", kHeic},
                                                                                  {"hevc", kHeic},
                                                                                  {"hevx", kHeic},
                                                                                  {"avif", kAvif},
                                                                                  {"avis", kAvif}}};
  size_t length = 0;
  for (const char byte : bytes.substr(0, 4)) length = length << 8 | static_cast<uint8_t>(byte);
  const std::string_view box = bytes.substr(0, length);
  for (size_t at = 8; at + 4 <= box.size(); at += 4) {
    if (at == 12) continue;  // a version number
    for (const auto& [brand, name] : kBrands)
      if (box.substr(at, 4) == brand) return name;
  }
  const std::string_view brand = bytes.substr(8, 4);
  return brand == "mif1" || brand == "msf1" ? "a HEIF image" : "a film or another ISO media file";
}

bool is_netpbm(std::string_view bytes) {
  constexpr std::string_view kKinds = "1234567fF";
  constexpr std::string_view kSpaces = " \t\r\n#";
  return bytes.size() > 2 && bytes[0] == 'P' && kKinds.find(bytes[1]) != std::string_view::npos &&
         kSpaces.find(bytes[2]) != std::string_view::npos;
}

bool is_svg(std::string_view bytes) {
  constexpr size_t kBeginning = 1024;
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (bytes.starts_with(kByteOrderMark)) bytes.remove_prefix(kByteOrderMark.size());
  const bool xml = bytes.starts_with("<?xml") || bytes.starts_with("<!--");
  return bytes.starts_with("<svg") ||
         (xml && bytes.substr(0, kBeginning).find("<svg") != std::string_view::npos);
}

}  // namespace

std::string_view unread_image_format(std::string_view bytes) {
  constexpr std::string_view kTiff = "a TIFF image";
  constexpr std::string_view kJpeg2000 = "a JPEG 2000 image";
  constexpr std::string_view kJpegXl = "a JPEG XL image";
  constexpr std::array<std::pair<std::string_view, std::string_view>, 15> kSignatures{{
      {"GIF87a"sv, "a GIF image"},
      {"GIF89a"sv, "a GIF image"},
      {"II*\0"sv, kTiff},
      {"MM\0*"sv, kTiff},
      {"II+\0"sv, kTiff},
      {"MM\0+"sv, kTiff},
      {"\0\0\0\x0CjP  \r\n\x87\n"sv, kJpeg2000},
      {"\xFF\x4F\xFF\x51"sv, kJpeg2000},
      {"\xFF\x0A"sv, kJpegXl},
      {"\0\0\0\x0CJXL \r\n\x87\n"sv, kJpegXl},
      {"\0\0\1\0"sv, "an icon (ICO)"},
      {"\0\0\2\0"sv, "a cursor (CUR)"},
      {"8BPS"sv, "a Photoshop file (PSD)"},
      {"qoif"sv, "a QOI image"},
      {"%PDF-"sv, "a PDF file"},
  }};
  for (const auto& [signature, name] : kSignatures)
    if (bytes.starts_with(signature)) return name;
  if (bytes.size() >= 12 && bytes.substr(4, 4) == "ftyp") return iso_media_format(bytes);
  if (is_netpbm(bytes)) return "a Netpbm image (PBM, PGM, PPM or PAM)";
  if (is_svg(bytes)) return "a drawing (SVG)";
  return {};
}

}  // namespace elastikv
