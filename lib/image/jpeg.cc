#include "image/jpeg.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include <fmt/format.h>

namespace elastikv {
namespace {

constexpr uint32_t kStartOfScan = 0xDA;

/// What a frame header says (ITU-T T.81, B.2.2). Its low four bits are the kind of coding.
struct Frame {
  uint32_t kind = 0;
  uint32_t bits = 0;
  uint32_t channels = 0;
  ImageSize size;
};

/// Walks the marker segments of a JPEG (ITU-T T.81, annex B), reporting each to
/// `visit(marker, at)` with the offset of its length field; stops at the end-of-image marker or
/// when `visit` returns false.
template <typename Visitor>
void walk_jpeg(const ImageBytes& bytes, Visitor visit) {
  constexpr uint32_t kEndOfImage = 0xD9;
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

bool is_frame(uint32_t marker) {
  constexpr uint32_t kHuffmanTables = 0xC4, kExtension = 0xC8, kArithmeticConditioning = 0xCC;
  return marker >= 0xC0 && marker <= 0xCF && marker != kHuffmanTables && marker != kExtension &&
         marker != kArithmeticConditioning;
}

Frame read_frame(const ImageBytes& bytes) {
  Frame frame;
  bool found = false;
  walk_jpeg(bytes, [&](uint32_t marker, size_t at) {
    if (!is_frame(marker)) return true;
    frame = {marker & 0xF, bytes.u8(at + 2), bytes.u8(at + 7),
             ImageSize{bytes.be16(at + 3), bytes.be16(at + 5)}};
    found = true;
    return false;
  });
  if (!found || frame.size == ImageSize{}) bytes.damaged("it has no frame header");
  return frame;
}

bool is_progressive(const Frame& frame) { return frame.kind == 2 || frame.kind == 10; }

void require_known_kind(const ImageBytes& bytes, const Frame& frame) {
  const uint32_t kind = frame.kind;
  if (kind == 3 || kind == 7 || kind == 11 || kind == 15)
    bytes.refused("is coded without loss (lossless JPEG), which is not read; convert it to PNG");
  if (kind == 5 || kind == 6 || kind == 13 || kind == 14)
    bytes.refused("is hierarchical, which is not read; convert it to PNG");
  if (frame.bits != 8)
    bytes.refused(fmt::format("has {} bits per channel; 8 are read", frame.bits));
  if (frame.channels != 1 && frame.channels != 3 && frame.channels != 4)
    bytes.refused(
        fmt::format("has {} channels; 1 (grey), 3 and 4 (CMYK) are read", frame.channels));
}

/// To which bit the low coefficients of each channel are known after all scans so far (T.81,
/// G.1.1).
class KnownBits final {
 public:
  /// A scan header, whose length field is at `at`.
  void add_scan(const ImageBytes& bytes, size_t at) {
    const uint32_t channels = bytes.u8(at + 2);
    const size_t fields = at + 3 + size_t{channels} * 2;
    const uint32_t first = bytes.u8(fields);
    const uint32_t last = std::min<uint32_t>(bytes.u8(fields + 1), kLow - 1);
    const uint32_t lowest_bit = bytes.u8(fields + 2) & 0xF;
    for (uint32_t channel = 0; channel < channels; ++channel) {
      auto& known =
          bits_.try_emplace(bytes.u8(at + 3 + size_t{channel} * 2), unknown()).first->second;
      for (uint32_t i = first; i <= last; ++i) known[i] = lowest_bit;
    }
  }

  bool complete(size_t channels) const {
    return bits_.size() == channels &&
           std::all_of(bits_.begin(), bits_.end(), [](const auto& channel) {
             return std::all_of(channel.second.begin(), channel.second.end(),
                                [](uint32_t bit) { return bit == 0; });
           });
  }

 private:
  /// libjpeg guesses the first coefficients in zigzag order from the blocks around, when they are
  /// not known to their last bit; how, depends on its version.
  static constexpr uint32_t kLow = 10;
  static std::array<uint32_t, kLow> unknown() {
    std::array<uint32_t, kLow> bits{};
    bits.fill(16);
    return bits;
  }

  std::map<uint32_t, std::array<uint32_t, kLow>> bits_;
};

}  // namespace

ImageSize jpeg_size(const ImageBytes& bytes) {
  const Frame frame = read_frame(bytes);
  if (frame.size.height == 0)
    bytes.refused("states its height only behind its pixels (DNL), which is not read");
  return frame.size;
}

void require_readable_jpeg(const ImageBytes& bytes) {
  const Frame frame = read_frame(bytes);
  require_known_kind(bytes, frame);
  bool scan = false;
  KnownBits known;
  walk_jpeg(bytes, [&](uint32_t marker, size_t at) {
    if (marker != kStartOfScan) return true;
    scan = true;
    if (is_progressive(frame)) known.add_scan(bytes, at);
    return true;
  });
  if (!scan) bytes.damaged("it holds no scan");
  if (is_progressive(frame) && !known.complete(frame.channels))
    bytes.damaged("it is progressive and lacks scans, so that details would be guessed");
}

bool is_four_channel_jpeg(const ImageBytes& bytes) { return read_frame(bytes).channels == 4; }

}  // namespace elastikv
