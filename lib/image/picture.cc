#include "image/picture.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/error.h"
#include "base/fields.h"
#include "base/files.h"
#include "image/decoder.h"
#include "image/orientation.h"

namespace elastikv {
namespace {

constexpr const char* kPixelsVariable = "ELASTIKV_MAX_PICTURE_PIXELS";
constexpr std::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);

/// What the bytes of a file say about a picture without decoding it.
struct Header {
  std::string_view format;
  PictureSize size;
  /// One 16-bit channel: Pillow treats such a PNG unlike every other.
  bool grey16 = false;
};

/// Checked reading of numbers at byte offsets; every read past the end means a truncated file.
class Bytes final {
 public:
  Bytes(std::string_view bytes, std::string_view format, const std::string& origin)
      : bytes_(bytes), format_(format), origin_(origin) {}

  size_t size() const { return bytes_.size(); }
  const std::string& origin() const { return origin_; }
  std::string_view text(size_t at, size_t count) const {
    require(at, count);
    return bytes_.substr(at, count);
  }
  uint32_t u8(size_t at) const { return static_cast<uint8_t>(text(at, 1)[0]); }
  uint32_t be16(size_t at) const { return u8(at) << 8 | u8(at + 1); }
  uint32_t be32(size_t at) const { return be16(at) << 16 | be16(at + 2); }
  uint32_t le16(size_t at) const { return u8(at) | u8(at + 1) << 8; }
  uint32_t le24(size_t at) const { return le16(at) | u8(at + 2) << 16; }
  uint32_t le32(size_t at) const { return le16(at) | le16(at + 2) << 16; }

  void require(size_t at, size_t count) const {
    if (at > bytes_.size() || count > bytes_.size() - at) truncated();
  }
  [[noreturn]] void truncated() const {
    fail("{}: the {} is cut off after {} bytes; copy or download it again", origin_, format_,
         bytes_.size());
  }
  [[noreturn]] void damaged(std::string_view why) const {
    fail("{}: the {} is damaged ({})", origin_, format_, why);
  }

 private:
  std::string_view bytes_;
  std::string_view format_;
  const std::string& origin_;
};

void require_size(PictureSize size, std::string_view format, const std::string& origin) {
  if (size.height < 1 || size.width < 1) {
    fail("{}: the {} is {} x {} pixels (width x height), which is no picture", origin, format,
         size.width, size.height);
  }
  if (size.height > kMaxPictureSide || size.width > kMaxPictureSide) {
    fail("{}: the {} is {} x {} pixels (width x height); at most {} on a side are read", origin,
         format, size.width, size.height, kMaxPictureSide);
  }
  if (const int64_t most = max_picture_pixels(); size.pixels() > most) {
    fail(
        "{}: the {} is {} x {} pixels (width x height), {} in all; more than {} are only read when "
        "the environment's {} says so",
        origin, format, size.width, size.height, size.pixels(), most, kPixelsVariable);
  }
}

Header png_header(const Bytes& bytes) {
  if (bytes.text(12, 4) != "IHDR") bytes.damaged("its first chunk is not IHDR");
  const uint32_t width = bytes.be32(16);
  const uint32_t height = bytes.be32(20);
  const uint32_t bits = bytes.u8(24);
  const uint32_t colour_type = bytes.u8(25);
  return {"PNG", {height, width}, /*grey16=*/bits == 16 && colour_type == 0};
}

void require_complete_png(const Bytes& bytes) {
  size_t at = kPngSignature.size();
  for (;;) {
    const size_t length = bytes.be32(at);
    const std::string_view name = bytes.text(at + 4, 4);
    bytes.require(at, 12 + length);  // length, name, data, checksum
    if (name == "IEND") return;
    at += 12 + length;
  }
}

/// Walks the marker segments of a JPEG (ITU-T T.81, annex B), reporting each to
/// `visit(marker, at)` with the offset of its length field; stops at the end-of-image marker or
/// when `visit` returns false.
template <typename Visitor>
void walk_jpeg(const Bytes& bytes, Visitor visit) {
  constexpr uint32_t kEndOfImage = 0xD9;
  constexpr uint32_t kStartOfScan = 0xDA;
  constexpr uint32_t kTemporary = 0x01;
  const auto is_restart = [](uint32_t marker) { return marker >= 0xD0 && marker <= 0xD7; };

  size_t at = 2;
  for (;;) {
    // Decoders skip anything up to the next marker, and any number of fill bytes before it.
    while (bytes.u8(at) != 0xFF) ++at;
    while (bytes.u8(at) == 0xFF) ++at;
    const uint32_t marker = bytes.u8(at++);
    if (marker == kEndOfImage) return;
    if (marker == 0 || marker == kTemporary || is_restart(marker)) continue;
    const size_t length = bytes.be16(at);
    if (length < 2) bytes.damaged("a marker segment has no length");
    bytes.require(at, length);
    if (!visit(marker, at)) return;
    at += length;
    if (marker != kStartOfScan) continue;
    const std::string_view rest = bytes.text(at, bytes.size() - at);
    for (size_t next = 0;; next += 2) {
      next = rest.find('\xFF', next);
      if (next == std::string_view::npos || next + 1 >= rest.size()) bytes.truncated();
      const auto follower = static_cast<uint8_t>(rest[next + 1]);
      if (follower == 0xFF) {
        --next;  // a fill byte: the marker may begin at the second one
      } else if (follower != 0 && !is_restart(follower)) {
        at += next;
        break;
      }
    }
  }
}

Header jpeg_header(const Bytes& bytes) {
  Header header{"JPEG", {}};
  walk_jpeg(bytes, [&](uint32_t marker, size_t at) {
    constexpr uint32_t kHuffmanTables = 0xC4, kExtension = 0xC8, kArithmeticConditioning = 0xCC;
    const bool frame = marker >= 0xC0 && marker <= 0xCF && marker != kHuffmanTables &&
                       marker != kExtension && marker != kArithmeticConditioning;
    if (!frame) return true;
    header.size = {bytes.be16(at + 3), bytes.be16(at + 5)};
    return false;
  });
  if (header.size == PictureSize{}) bytes.damaged("it has no frame header");
  return header;
}

void require_complete_jpeg(const Bytes& bytes) {
  bool scan = false;
  walk_jpeg(bytes, [&](uint32_t marker, size_t) {
    scan = scan || marker == 0xDA;
    return true;
  });
  if (!scan) bytes.damaged("it holds no scan");
}

Header webp_header(const Bytes& bytes) {
  const std::string_view kind = bytes.text(12, 4);
  constexpr uint32_t kSideMask = 0x3FFF;
  if (kind == "VP8X") {
    constexpr uint32_t kAnimation = 0x02;
    if ((bytes.u8(20) & kAnimation) != 0) {
      fail("{}: the WebP is animated; still pictures are read", bytes.origin());
    }
    return {"WebP", {1 + int64_t{bytes.le24(27)}, 1 + int64_t{bytes.le24(24)}}};
  }
  if (kind == "VP8L") {
    const uint32_t sides = bytes.le32(21);
    return {"WebP", {1 + int64_t{sides >> 14 & kSideMask}, 1 + int64_t{sides & kSideMask}}};
  }
  if (kind != "VP8 ") bytes.damaged("its first chunk is not VP8, VP8L or VP8X");
  return {"WebP", {bytes.le16(28) & kSideMask, bytes.le16(26) & kSideMask}};
}

void require_complete_webp(const Bytes& bytes) { bytes.require(8, bytes.le32(4)); }

Header bmp_header(const Bytes& bytes) {
  constexpr uint32_t kCoreHeader = 12;
  if (bytes.le32(14) == kCoreHeader) return {"BMP", {bytes.le16(20), bytes.le16(18)}};
  // A negative height means that rows run from top to bottom.
  const auto width = static_cast<int32_t>(bytes.le32(18));
  const auto height = int64_t{static_cast<int32_t>(bytes.le32(22))};
  return {"BMP", {height < 0 ? -height : height, width}};
}

void require_complete_bmp(const Bytes& bytes, PictureSize size) {
  constexpr uint32_t kCoreHeader = 12;
  constexpr uint32_t kPlain = 0;
  constexpr uint32_t kBitFields = 3;
  const bool core = bytes.le32(14) == kCoreHeader;
  const uint32_t bits = bytes.le16(core ? 24 : 28);
  const uint32_t compression = core ? kPlain : bytes.le32(30);
  const bool plain =
      compression == kPlain && (bits == 1 || bits == 4 || bits == 8 || bits == 24 || bits == 32);
  if (!plain && !(compression == kBitFields && bits == 32)) {
    fail(
        "{}: the BMP has {} bits per pixel and compression {}; uncompressed ones of 1, 4, 8, 24 "
        "or 32 bits are read",
        bytes.origin(), bits, compression);
  }
  const int64_t row_bytes = (size.width * bits + 31) / 32 * 4;
  bytes.require(bytes.le32(10), static_cast<size_t>(row_bytes * size.height));
}

Header check_header(std::string_view bytes, const std::string& origin) {
  if (bytes.empty()) fail("{}: the picture file is empty (0 bytes)", origin);
  const auto inspect = [&](std::string_view format, auto header_of, auto require_complete) {
    const Bytes reader(bytes, format, origin);
    const Header header = header_of(reader);
    require_size(header.size, format, origin);
    require_complete(reader, header.size);
    return header;
  };
  if (bytes.starts_with(kPngSignature)) {
    return inspect("PNG", png_header, [](const Bytes& b, PictureSize) { require_complete_png(b); });
  }
  if (bytes.starts_with("\xFF\xD8\xFF")) {
    return inspect("JPEG", jpeg_header,
                   [](const Bytes& b, PictureSize) { require_complete_jpeg(b); });
  }
  if (bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP")) {
    return inspect("WebP", webp_header,
                   [](const Bytes& b, PictureSize) { require_complete_webp(b); });
  }
  if (bytes.starts_with("BM")) return inspect("BMP", bmp_header, require_complete_bmp);
  if (bytes.starts_with("GIF8")) {
    fail("{}: GIF pictures are not read; convert it to PNG, JPEG, WebP or BMP", origin);
  }
  fail("{}: not a picture of a known format (PNG, JPEG, WebP and BMP are read)", origin);
}

}  // namespace

Picture::Picture(PictureSize picture_size)
    : size(picture_size), pixels(static_cast<size_t>(picture_size.pixels() * 3)) {}

PictureSize check_picture_bytes(std::string_view bytes, const std::string& origin) {
  return check_header(bytes, origin).size;
}

PictureSize check_picture(const PictureFile& file) {
  const MappedFile mapped(file.path);
  const PictureSize size = check_picture_bytes(mapped.view(), file.path.string());
  if (file.orientation == PictureOrientation::kStored) return size;
  return turned_upright(size, stored_orientation(mapped.view()));
}

Picture decode_picture(std::string_view bytes, const std::string& origin) {
  const Header header = check_header(bytes, origin);
  return decode_pixels(bytes, header.format, header.size, header.grey16, origin);
}

Picture read_picture(const PictureFile& file) {
  const MappedFile mapped(file.path);
  Picture picture = decode_picture(mapped.view(), file.path.string());
  if (file.orientation == PictureOrientation::kStored) return picture;
  return turned_upright(std::move(picture), stored_orientation(mapped.view()));
}

PictureOrientation parse_picture_orientation(std::string_view name) {
  if (name == "stored") return PictureOrientation::kStored;
  if (name == "exif") return PictureOrientation::kExif;
  fail("picture_orientation is '{}', needs stored or exif", name);
}

std::string_view picture_orientation_name(PictureOrientation orientation) {
  return orientation == PictureOrientation::kExif ? "exif" : "stored";
}

int64_t max_picture_pixels() {
  const char* text = std::getenv(kPixelsVariable);
  if (text == nullptr || *text == '\0') return kUsualPicturePixels;
  constexpr int64_t kMost = kMaxPictureSide * kMaxPictureSide;
  int64_t pixels = 0;
  if (!parse_int(text, pixels) || pixels < 1 || pixels > kMost)
    fail("{} is '{}', needs a number of pixels from 1 to {}", kPixelsVariable, text, kMost);
  return pixels;
}

}  // namespace elastikv
