#include "image/bmp.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace elastikv {
namespace {

constexpr size_t kFileHeader = 14;
constexpr uint32_t kCoreHeader = 12;  // OS/2's, with sides of 16 bits and palettes of 3 bytes
constexpr uint32_t kInfoHeader = 40;
constexpr uint32_t kMaskedHeader = 52;       // holds masks of red, green and blue
constexpr uint32_t kAlphaMaskedHeader = 56;  // and one of alpha
constexpr uint32_t kPlain = 0, kRunLength8 = 1, kRunLength4 = 2, kBitFields = 3;

/// Which byte of a pixel of 24 or 32 bits holds red, green and blue.
struct ByteOrder {
  int red;
  int green;
  int blue;
};

struct Masks {
  uint32_t red = 0;
  uint32_t green = 0;
  uint32_t blue = 0;
  uint32_t alpha = 0;
  bool operator==(const Masks&) const = default;
};

using Colour3 = std::array<uint8_t, 3>;

struct Layout {
  ImageSize size;
  uint32_t bits = 0;
  bool top_down = false;
  bool run_length = false;
  ByteOrder order{2, 1, 0};     // of 24 and 32 bits
  bool six_bits_green = false;  // of 16 bits
  std::array<Colour3, 256> palette{};
  size_t data = 0;  // offset of the pixels

  size_t row_bytes() const { return (static_cast<size_t>(size.width) * bits + 31) / 32 * 4; }
};

/// The orders of bytes that Pillow knows masks of. It takes masks of zeros for the usual order.
std::optional<ByteOrder> byte_order(const Masks& masks) {
  constexpr std::array<std::pair<Masks, ByteOrder>, 8> kKnown{{
      {{0xFF0000, 0xFF00, 0xFF, 0}, {2, 1, 0}},
      {{0xFF0000, 0xFF00, 0xFF, 0xFF000000}, {2, 1, 0}},
      {{0, 0, 0, 0}, {2, 1, 0}},
      {{0xFF000000, 0xFF0000, 0xFF00, 0}, {3, 2, 1}},
      {{0xFF000000, 0xFF0000, 0xFF00, 0xFF}, {3, 2, 1}},
      {{0xFF000000, 0xFF00, 0xFF, 0}, {3, 1, 0}},
      {{0xFF000000, 0xFF00, 0xFF, 0xFF0000}, {3, 1, 0}},
      {{0xFF, 0xFF00, 0xFF0000, 0xFF000000}, {0, 1, 2}},
  }};
  for (const auto& [known, order] : kKnown)
    if (known == masks) return order;
  return std::nullopt;
}

/// The masks of a BITFIELDS file, which stand in the header or, when it is the shortest, behind it.
Masks read_masks(const ImageBytes& bytes, uint32_t header) {
  constexpr size_t kMasks = kFileHeader + kInfoHeader;
  Masks masks{bytes.le32(kMasks), bytes.le32(kMasks + 4), bytes.le32(kMasks + 8)};
  if (header >= kAlphaMaskedHeader) masks.alpha = bytes.le32(kMasks + 12);
  return masks;
}

void apply_masks(const ImageBytes& bytes, uint32_t header, Layout& layout) {
  const Masks masks = read_masks(bytes, header);
  const Masks colours{masks.red, masks.green, masks.blue};
  if (layout.bits == 32) {
    if (const auto order = byte_order(masks)) {
      layout.order = *order;
      return;
    }
  } else if (layout.bits == 24) {
    if (colours == Masks{0xFF0000, 0xFF00, 0xFF}) return;
  } else if (layout.bits == 16) {
    layout.six_bits_green = colours == Masks{0xF800, 0x7E0, 0x1F};
    if (layout.six_bits_green || colours == Masks{0x7C00, 0x3E0, 0x1F}) return;
  }
  bytes.refused(fmt::format(
      "has {} bits per pixel and channel masks {:X}, {:X}, {:X} and {:X} (alpha), which "
      "Pillow does not read either; convert it to PNG",
      layout.bits, masks.red, masks.green, masks.blue, masks.alpha));
}

/// Reads the palette behind the header at `at` and returns its length in bytes.
size_t read_palette(const ImageBytes& bytes, size_t at, uint32_t colours, bool core,
                    Layout& layout) {
  if (colours > layout.palette.size())
    bytes.refused(fmt::format("has a palette of {} colours; at most {} are read", colours,
                              layout.palette.size()));
  const size_t entry = core ? 3 : 4;
  const size_t length = entry * colours;
  // A palette may end with the file when its last colours are no pixel's.
  const size_t there = bytes.size() > at ? std::min<size_t>(length, bytes.size() - at) : 0;
  bool grey = there == length;
  for (uint32_t i = 0; i < there / entry; ++i) {
    const size_t from = at + i * entry;
    Colour3& colour = layout.palette[i];
    colour = {static_cast<uint8_t>(bytes.u8(from + 2)), static_cast<uint8_t>(bytes.u8(from + 1)),
              static_cast<uint8_t>(bytes.u8(from))};
    const auto level = static_cast<uint8_t>(colours == 2 ? i * 255 : i);
    grey = grey && colour == Colour3{level, level, level};
  }
  if (!grey) return length;
  // Pillow takes such a palette for a sign of an image of grey or of black and white, and the
  // pixels for bytes or bits, whatever their depth.
  const bool as_defined = layout.run_length ? colours != 2
                          : colours == 2    ? layout.bits == 1
                                            : layout.bits == 8;
  if (!as_defined)
    bytes.refused(fmt::format(
        "has {} bits per pixel and a palette of {} greys, which Pillow takes for another "
        "depth; convert it to PNG",
        layout.bits, colours));
  if (colours == 2) return length;
  for (size_t i = 0; i < layout.palette.size(); ++i)
    layout.palette[i].fill(static_cast<uint8_t>(i));
  return length;
}

Layout read_layout(const ImageBytes& bytes, ImageSize size) {
  const uint32_t header = bytes.le32(kFileHeader);
  constexpr std::array<uint32_t, 7> kHeaders{
      kCoreHeader, kInfoHeader, kMaskedHeader, kAlphaMaskedHeader, 64, 108, 124};
  if (std::find(kHeaders.begin(), kHeaders.end(), header) == kHeaders.end())
    bytes.refused(fmt::format("has a header of {} bytes, which is none of the format's", header));
  bytes.require(kFileHeader, header);
  const bool core = header == kCoreHeader;
  Layout layout;
  layout.size = size;
  layout.bits = bytes.le16(core ? 24 : 28);
  layout.top_down = !core && static_cast<int32_t>(bytes.le32(22)) < 0;
  const uint32_t compression = core ? kPlain : bytes.le32(30);
  layout.run_length = compression == kRunLength8 || compression == kRunLength4;
  constexpr std::array<uint32_t, 6> kDepths{1, 4, 8, 16, 24, 32};
  const bool known_depth = std::find(kDepths.begin(), kDepths.end(), layout.bits) != kDepths.end();
  const bool fits = compression == kPlain || (compression == kRunLength8 && layout.bits == 8) ||
                    (compression == kRunLength4 && layout.bits == 4) ||
                    (compression == kBitFields && layout.bits >= 16);
  if (!known_depth || !fits)
    bytes.refused(
        fmt::format("has {} bits per pixel and compression {}; plain ones of 1, 4, 8, 16, 24 or 32 "
                    "bits, run-length coded ones of 4 or 8 bits and those with channel masks "
                    "(compression 3) of 16, 24 or 32 bits are read",
                    layout.bits, compression));

  size_t at = kFileHeader + header;
  if (compression == kBitFields) {
    apply_masks(bytes, header, layout);
    if (header == kInfoHeader) at += 12;
  }
  layout.data = bytes.le32(10);
  if (layout.bits <= 8) {
    uint32_t colours = core ? 0 : bytes.le32(46);
    if (colours == 0) colours = 1U << layout.bits;
    const size_t palette = read_palette(bytes, at, colours, core, layout);
    // Some writers forget the palette when they say where the pixels begin.
    if (layout.data == at) layout.data += palette;
    at += palette;
  }
  if (layout.data == 0) layout.data = at;
  return layout;
}

/// The codes of an RLE4 or RLE8 image, spelt out to one palette index a pixel, rows in the order
/// of the file. Skipped pixels are 0.
class RunLengthCode final {
 public:
  RunLengthCode(const ImageBytes& bytes, const Layout& layout)
      : bytes_(bytes),
        four_bits_(layout.bits == 4),
        width_(static_cast<size_t>(layout.size.width)),
        at_(layout.data) {
    // Literal runs are padded to an even place, which Pillow counts from the begin of the file.
    if (at_ % 2 != 0) bytes_.refused("is run-length coded from an odd byte on; convert it to PNG");
    most_ = width_ * static_cast<size_t>(layout.size.height);
  }

  std::vector<uint8_t> spelt_out() {
    while (indices_.size() < most_) {
      const uint32_t count = bytes_.u8(at_);
      const uint32_t value = bytes_.u8(at_ + 1);
      at_ += 2;
      if (count > 0) {
        run(count, value);
      } else if (value == 0) {
        end_row();
      } else if (value == 1) {
        bytes_.damaged("its run-length code ends before its last row");
      } else if (value == 2) {
        skip(bytes_.u8(at_), bytes_.u8(at_ + 1));
        at_ += 2;
      } else {
        literal(value);
      }
    }
    indices_.resize(most_);
    return std::move(indices_);
  }

 private:
  /// Decoders clip a run at the end of its row.
  void run(size_t count, uint32_t value) {
    count = std::min(count, width_ - column_);
    for (size_t i = 0; i < count; ++i)
      push(!four_bits_ ? value : i % 2 == 0 ? value >> 4 : value & 0xF);
  }

  void end_row() {
    // Pillow goes on with the same row then.
    if (column_ == 0)
      bytes_.refused("has a run-length code that leaves out a row; convert it to PNG");
    indices_.resize(indices_.size() + width_ - column_);
    column_ = 0;
  }

  void skip(size_t right, size_t up) {
    if (right >= width_ - column_) bytes_.damaged("a run-length code skips over the end of a row");
    // No file has more rows than these, and no more memory is taken.
    indices_.resize(std::min(most_, indices_.size() + right + up * width_));
    column_ += right;
  }

  void literal(size_t count) {
    if (count > width_ - column_)
      bytes_.damaged("a literal run of its run-length code is longer than its row");
    if (four_bits_ && count % 2 != 0)
      bytes_.refused(
          "has a literal run of an odd number of 4-bit pixels, which Pillow reads wrongly; convert "
          "it to PNG");
    const size_t length = four_bits_ ? count / 2 : count;
    bytes_.require(at_, length);
    for (size_t i = 0; i < count; ++i) {
      const uint32_t byte = bytes_.u8(at_ + (four_bits_ ? i / 2 : i));
      push(!four_bits_ ? byte : i % 2 == 0 ? byte >> 4 : byte & 0xF);
    }
    at_ += length + length % 2;
  }

  void push(uint32_t index) {
    indices_.push_back(static_cast<uint8_t>(index));
    ++column_;
  }

  const ImageBytes& bytes_;
  bool four_bits_;
  size_t width_;
  size_t at_;
  size_t most_ = 0;
  size_t column_ = 0;  // of the next pixel; the width behind the last
  std::vector<uint8_t> indices_;
};

/// A channel of `most` + 1 levels as one of 256, rounded down as Pillow does.
uint8_t widened(uint32_t level, uint32_t most) { return static_cast<uint8_t>(level * 255 / most); }

/// One row of `width` pixels that begins at `from`.
void unpack_row(const Layout& layout, const uint8_t* from, uint8_t* to) {
  const uint32_t bits = layout.bits;
  for (int64_t x = 0; x < layout.size.width; ++x, to += 3) {
    if (bits <= 8) {
      const auto first_bit = static_cast<size_t>(x) * bits;
      const uint32_t index = from[first_bit / 8] >> (8 - bits - first_bit % 8) & ((1U << bits) - 1);
      std::copy_n(layout.palette[index].data(), 3, to);
    } else if (bits == 16) {
      const uint32_t pixel = from[2 * x] | from[2 * x + 1] << 8;
      const uint32_t green_bits = layout.six_bits_green ? 6 : 5;
      const uint32_t most_green = (1U << green_bits) - 1;
      to[0] = widened(pixel >> (5 + green_bits) & 31, 31);
      to[1] = widened(pixel >> 5 & most_green, most_green);
      to[2] = widened(pixel & 31, 31);
    } else {
      const uint8_t* pixel = from + x * (bits / 8);
      to[0] = pixel[layout.order.red];
      to[1] = pixel[layout.order.green];
      to[2] = pixel[layout.order.blue];
    }
  }
}

}  // namespace

ImageSize bmp_size(const ImageBytes& bytes) {
  if (bytes.le32(kFileHeader) == kCoreHeader) return {bytes.le16(20), bytes.le16(18)};
  // A negative height means that rows run from top to bottom.
  const auto width = static_cast<int32_t>(bytes.le32(18));
  const auto height = int64_t{static_cast<int32_t>(bytes.le32(22))};
  return {height < 0 ? -height : height, width};
}

void require_readable_bmp(const ImageBytes& bytes, ImageSize size) {
  const Layout layout = read_layout(bytes, size);
  const size_t least =
      layout.run_length ? 2 : layout.row_bytes() * static_cast<size_t>(size.height);
  bytes.require(layout.data, least);
}

Image decode_bmp(const ImageBytes& bytes) {
  const Layout layout = read_layout(bytes, bmp_size(bytes));
  const ImageSize size = layout.size;
  std::vector<uint8_t> indices;
  if (layout.run_length) indices = RunLengthCode(bytes, layout).spelt_out();
  const std::string_view data =
      layout.run_length
          ? std::string_view()
          : bytes.text(layout.data, layout.row_bytes() * static_cast<size_t>(size.height));
  Image image(size);
  for (int64_t row = 0; row < size.height; ++row) {
    uint8_t* to = image.row(layout.top_down ? row : size.height - 1 - row);
    if (!layout.run_length) {
      const char* from = data.data() + static_cast<size_t>(row) * layout.row_bytes();
      unpack_row(layout, reinterpret_cast<const uint8_t*>(from), to);
      continue;
    }
    for (int64_t x = 0; x < size.width; ++x, to += 3)
      std::copy_n(layout.palette[indices[static_cast<size_t>(row * size.width + x)]].data(), 3, to);
  }
  return image;
}

}  // namespace elastikv
