#include "image/image.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/error.h"
#include "base/fields.h"
#include "base/files.h"
#include "image/bmp.h"
#include "image/decoder.h"
#include "image/image_bytes.h"
#include "image/jpeg.h"
#include "image/orientation.h"
#include "image/unread_formats.h"

namespace elastikv {
namespace {

constexpr const char* kPixelsVariable = "ELASTIKV_MAX_IMAGE_PIXELS";
constexpr const char* kEarlierPixelsVariable = "ELASTIKV_MAX_PICTURE_PIXELS";
constexpr std::string_view kPng = "PNG";
constexpr std::string_view kJpeg = "JPEG";
constexpr std::string_view kWebP = "WebP";
constexpr std::string_view kBmp = "BMP";
constexpr std::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);

/// What the bytes of a file say about an image without decoding it.
struct Header {
  std::string_view format;
  ImageSize size;
  /// One 16-bit channel: Pillow treats such a PNG unlike every other.
  bool grey16 = false;
};

void require_size(ImageSize size, std::string_view format, const std::string& origin) {
  if (size.height < 1 || size.width < 1) {
    fail("{}: the {} is {} x {} pixels (width x height), which is no image", origin, format,
         size.width, size.height);
  }
  if (size.height > kMaxImageSide || size.width > kMaxImageSide) {
    fail("{}: the {} is {} x {} pixels (width x height); at most {} on a side are read", origin,
         format, size.width, size.height, kMaxImageSide);
  }
  if (const int64_t most = max_image_pixels(); size.pixels() > most) {
    fail(
        "{}: the {} is {} x {} pixels (width x height), {} in all; more than {} are only read when "
        "the environment's {} says so",
        origin, format, size.width, size.height, size.pixels(), most, kPixelsVariable);
  }
}

Header png_header(const ImageBytes& bytes) {
  if (bytes.text(12, 4) == "CgBI")
    bytes.refused("is of Apple's own kind (CgBI), which only its systems read; convert it");
  if (bytes.text(12, 4) != "IHDR") bytes.damaged("its first chunk is not IHDR");
  const uint32_t width = bytes.be32(16);
  const uint32_t height = bytes.be32(20);
  const uint32_t bits = bytes.u8(24);
  const uint32_t colour_type = bytes.u8(25);
  return {kPng, {height, width}, /*grey16=*/bits == 16 && colour_type == 0};
}

void require_complete_png(const ImageBytes& bytes) {
  size_t at = kPngSignature.size();
  for (;;) {
    const size_t length = bytes.be32(at);
    const std::string_view name = bytes.text(at + 4, 4);
    bytes.require(at, 12 + length);  // length, name, data, checksum
    if (name == "IEND") return;
    at += 12 + length;
  }
}

Header webp_header(const ImageBytes& bytes) {
  const std::string_view kind = bytes.text(12, 4);
  constexpr uint32_t kSideMask = 0x3FFF;
  if (kind == "VP8X") {
    constexpr uint32_t kAnimation = 0x02;
    if ((bytes.u8(20) & kAnimation) != 0) {
      bytes.refused("is animated; still images are read");
    }
    return {kWebP, {1 + int64_t{bytes.le24(27)}, 1 + int64_t{bytes.le24(24)}}};
  }
  if (kind == "VP8L") {
    const uint32_t sides = bytes.le32(21);
    return {kWebP, {1 + int64_t{sides >> 14 & kSideMask}, 1 + int64_t{sides & kSideMask}}};
  }
  if (kind != "VP8 ") bytes.damaged("its first chunk is not VP8, VP8L or VP8X");
  return {kWebP, {bytes.le16(28) & kSideMask, bytes.le16(26) & kSideMask}};
}

void require_complete_webp(const ImageBytes& bytes) { bytes.require(8, bytes.le32(4)); }

/// The format that the first bytes are a signature of; empty when it is none that is read.
std::string_view format_of(std::string_view bytes) {
  if (bytes.starts_with(kPngSignature)) return kPng;
  if (bytes.starts_with("\xFF\xD8\xFF")) return kJpeg;
  if (bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP")) return kWebP;
  if (bytes.starts_with("BM")) return kBmp;
  return {};
}

Header check_header(std::string_view bytes, const std::string& origin) {
  if (bytes.empty()) fail("{}: the image file is empty (0 bytes)", origin);
  const std::string_view format = format_of(bytes);
  const auto inspect = [&](auto header_of, auto require_complete) {
    const ImageBytes reader(bytes, format, origin);
    const Header header = header_of(reader);
    require_size(header.size, format, origin);
    require_complete(reader, header.size);
    return header;
  };
  if (format == kPng) {
    return inspect(png_header, [](const ImageBytes& b, ImageSize) { require_complete_png(b); });
  }
  if (format == kJpeg) {
    return inspect(
        [](const ImageBytes& b) {
          return Header{kJpeg, jpeg_size(b)};
        },
        [](const ImageBytes& b, ImageSize) { require_readable_jpeg(b); });
  }
  if (format == kWebP) {
    return inspect(webp_header, [](const ImageBytes& b, ImageSize) { require_complete_webp(b); });
  }
  if (format == kBmp) {
    return inspect(
        [](const ImageBytes& b) {
          return Header{kBmp, bmp_size(b)};
        },
        require_readable_bmp);
  }
  if (const std::string_view name = unread_image_format(bytes); !name.empty()) {
    fail("{}: by its content this is {}, which is not read; convert it to PNG, JPEG, WebP or BMP",
         origin, name);
  }
  fail("{}: not an image of a known format (PNG, JPEG, WebP and BMP are read)", origin);
}

}  // namespace

Image::Image(ImageSize image_size)
    : size(image_size), pixels(static_cast<size_t>(image_size.pixels() * 3)) {}

ImageSize check_image_bytes(std::string_view bytes, const std::string& origin) {
  return check_header(bytes, origin).size;
}

ImageSize check_image(const ImageFile& file) {
  const MappedFile mapped(file.path);
  const ImageSize size = check_image_bytes(mapped.view(), file.path.string());
  if (file.orientation == ImageOrientation::kStored) return size;
  return turned_upright(size, stored_orientation(mapped.view()));
}

Image decode_image(std::string_view bytes, const std::string& origin) {
  const Header header = check_header(bytes, origin);
  if (header.format == kBmp) return decode_bmp(ImageBytes(bytes, kBmp, origin));
  return decode_pixels(bytes, header.format, header.size, header.grey16, origin);
}

Image read_image(const ImageFile& file) {
  const MappedFile mapped(file.path);
  Image image = decode_image(mapped.view(), file.path.string());
  if (file.orientation == ImageOrientation::kStored) return image;
  return turned_upright(std::move(image), stored_orientation(mapped.view()));
}

std::string_view image_decoder(std::string_view bytes) {
  const std::string_view format = format_of(bytes);
  if (format == kPng) return "picture/png";
  if (format == kWebP) return "picture/webp";
  if (format == kBmp) return "picture/bmp";
  if (format != kJpeg) return {};
  const std::string origin;
  try {
    return is_four_channel_jpeg(ImageBytes(bytes, kJpeg, origin)) ? "picture/cmyk-jpeg"
                                                                  : "picture/jpeg";
  } catch (const Error&) {
    return {};  // whoever decodes it says what is wrong
  }
}

std::string_view image_decoder(const std::filesystem::path& file) {
  try {
    const MappedFile mapped(file);
    return image_decoder(mapped.view());
  } catch (const Error&) {
    return {};
  }
}

ImageOrientation parse_image_orientation(std::string_view name) {
  if (name == "stored") return ImageOrientation::kStored;
  if (name == "exif") return ImageOrientation::kExif;
  fail("image_orientation is '{}', needs stored or exif", name);
}

std::string_view image_orientation_name(ImageOrientation orientation) {
  return orientation == ImageOrientation::kExif ? "exif" : "stored";
}

int64_t max_image_pixels() {
  const char* variable = kPixelsVariable;
  const char* text = std::getenv(variable);
  if (text == nullptr) {
    variable = kEarlierPixelsVariable;
    text = std::getenv(variable);
  }
  if (text == nullptr || *text == '\0') return kUsualImagePixels;
  constexpr int64_t kMost = kMaxImageSide * kMaxImageSide;
  int64_t pixels = 0;
  if (!parse_int(text, pixels) || pixels < 1 || pixels > kMost)
    fail("{} is '{}', needs a number of pixels from 1 to {}", variable, text, kMost);
  return pixels;
}

}  // namespace elastikv
