#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace elastikv {

/// Height and width in pixels.
struct ImageSize {
  int64_t height = 0;
  int64_t width = 0;

  int64_t pixels() const { return height * width; }
  bool operator==(const ImageSize&) const = default;
};

/// An 8-bit RGB image. `pixels` is row-major `[height, width, 3]`.
struct Image {
  Image() = default;
  /// All pixels black.
  explicit Image(ImageSize size);

  const uint8_t* row(int64_t y) const { return pixels.data() + y * size.width * 3; }
  uint8_t* row(int64_t y) { return pixels.data() + y * size.width * 3; }

  ImageSize size;
  std::vector<uint8_t> pixels;
};

/// What becomes of an image that its file says (EXIF) is stored turned or mirrored.
enum class ImageOrientation {
  kStored,  ///< its pixels as they are stored, as lmms-eval reads them
  kExif,    ///< turned upright, as transformers' load_image does with ImageOps.exif_transpose
};

/// "stored" or "exif". Error for anything else.
ImageOrientation parse_image_orientation(std::string_view name);
std::string_view image_orientation_name(ImageOrientation orientation);

/// An image's file and how it is read. A path alone is one, read as stored.
struct ImageFile {
  ImageFile() = default;
  ImageFile(std::filesystem::path file,
            ImageOrientation how = ImageOrientation::kStored)  // NOLINT: implicit
      : path(std::move(file)), orientation(how) {}
  ImageFile(const std::string& file) : path(file) {}  // NOLINT: implicit
  ImageFile(const char* file) : path(file) {}         // NOLINT: implicit

  operator const std::filesystem::path&() const { return path; }  // NOLINT: implicit
  bool operator==(const ImageFile&) const = default;

  std::filesystem::path path;
  ImageOrientation orientation = ImageOrientation::kStored;
};

/// The longest side, in pixels, of an image that is read.
inline constexpr int64_t kMaxImageSide = 32768;
/// The largest height x width of any image made on the way from a file to a model.
inline constexpr int64_t kMaxImagePixels = int64_t{1} << 28;
/// The largest height x width of an image that is read, unless max_image_pixels() is raised:
/// Pillow 12's, beyond which it sees a decompression bomb.
inline constexpr int64_t kUsualImagePixels = 178956970;

/// kUsualImagePixels, or what the environment's ELASTIKV_MAX_IMAGE_PIXELS says, or its earlier name
/// ELASTIKV_MAX_PICTURE_PIXELS. Error when that is no number from 1 to 2^30, which two sides of
/// kMaxImageSide make.
int64_t max_image_pixels();

/// Decodes a PNG, JPEG, WebP or BMP file to what Pillow's `Image.open(file).convert("RGB")` gives:
/// grey, palette and CMYK images become RGB, alpha is dropped without compositing, 16-bit colour
/// keeps its high byte while 16-bit grey is clipped at 255 (Pillow's mode I;16), and, where it is
/// asked for, ImageOps.exif_transpose turns it. docs/images.md lists the variants. Error when
/// the file is missing, empty, of another format or of a variant that cannot be made equal (both
/// named), truncated, damaged, or larger than the limits above; an image over the limits is
/// refused from its header, before anything is allocated. Nothing is printed.
Image read_image(const ImageFile& file);

/// The same from bytes in memory; `origin` stands for the file name in messages.
Image decode_image(std::string_view bytes, const std::string& origin);

/// Checks what can be checked without decoding (the file is there, its format and size are fine, it
/// is not cut off) and returns the size that read_image() gives. Same errors as read_image;
/// meant for whole data sets, before weights load.
ImageSize check_image(const ImageFile& file);

/// The same of bytes in memory.
ImageSize check_image_bytes(std::string_view bytes, const std::string& origin);

/// The part of the program (base/revisions.h) that decodes these bytes: "picture/png",
/// "picture/jpeg", "picture/cmyk-jpeg", "picture/webp" or "picture/bmp"; empty when they are of no
/// format that is read. Looks at their beginning alone, not at whether they are whole.
std::string_view image_decoder(std::string_view bytes);
/// The same of a file; empty for one that cannot be read.
std::string_view image_decoder(const std::filesystem::path& file);

}  // namespace elastikv
