#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace elastikv {

/// The bytes of an image file, read as numbers at offsets. Every read past the end is an Error
/// that the file is cut off.
class ImageBytes final {
 public:
  /// `format` and `origin` name the file in messages; all three have to outlive this.
  ImageBytes(std::string_view bytes, std::string_view format, const std::string& origin)
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
  /// A whole file of a kind that is left alone; `what` begins with a verb ("is animated").
  [[noreturn]] void refused(std::string_view what) const {
    fail("{}: the {} {}", origin_, format_, what);
  }

 private:
  std::string_view bytes_;
  std::string_view format_;
  const std::string& origin_;
};

}  // namespace elastikv
