#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

/// Height and width in pixels.
struct PictureSize {
  int64_t height = 0;
  int64_t width = 0;

  int64_t pixels() const { return height * width; }
  bool operator==(const PictureSize&) const = default;
};

/// An 8-bit RGB picture. `pixels` is row-major `[height, width, 3]`.
struct Picture {
  Picture() = default;
  /// All pixels black.
  explicit Picture(PictureSize size);

  const uint8_t* row(int64_t y) const { return pixels.data() + y * size.width * 3; }
  uint8_t* row(int64_t y) { return pixels.data() + y * size.width * 3; }

  PictureSize size;
  std::vector<uint8_t> pixels;
};

/// The longest side, in pixels, of a picture that is read.
inline constexpr int64_t kMaxPictureSide = 32768;
/// The largest height x width of a picture that is read, and of any picture made on the way.
inline constexpr int64_t kMaxPicturePixels = int64_t{1} << 28;

/// Decodes a PNG, JPEG, WebP or BMP file to what Pillow's `Image.open(file).convert("RGB")` gives:
/// grey and palette pictures become RGB, alpha is dropped without compositing, EXIF rotation is not
/// applied, 16-bit colour keeps its high byte while 16-bit grey is clipped at 255 (Pillow's mode
/// I;16). CMYK JPEGs may differ from Pillow by one level. Error when the file is missing, empty, of
/// another format, truncated, damaged, or larger than the limits above; a picture over the limits
/// is refused from its header, before anything is allocated. Nothing is printed.
Picture read_picture(const std::filesystem::path& file);

/// The same from bytes in memory; `origin` stands for the file name in messages.
Picture decode_picture(std::string_view bytes, const std::string& origin);

/// Checks what can be checked without decoding (the file is there, its format and size are fine, it
/// is not cut off) and returns its size. Same errors as read_picture; meant for whole data sets,
/// before weights load.
PictureSize check_picture(const std::filesystem::path& file);

/// The same of bytes in memory.
PictureSize check_picture_bytes(std::string_view bytes, const std::string& origin);

}  // namespace elastikv
