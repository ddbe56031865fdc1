#include <algorithm>
#include <array>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <opencv2/core/mat.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "image/cmyk_jpeg.h"
#include "image/decoder.h"
#include "image/drawing.h"
#include "image/image_bytes.h"
#include "image/jpeg.h"

namespace elastikv {
namespace {

/// Takes over standard error while a decoder runs: libpng, libjpeg and OpenCV print their
/// complaints there and offer no other way to learn of them through OpenCV. Lines of anyone else
/// (another thread) are passed on when the capture ends.
class DecoderMessages final {
 public:
  DecoderMessages() : lock_(mutex()) {
    std::fflush(stderr);
    saved_ = dup(STDERR_FILENO);
    file_ = memfd_create("decoder-messages", MFD_CLOEXEC);
    if (saved_ >= 0 && file_ >= 0) dup2(file_, STDERR_FILENO);
  }
  ~DecoderMessages() {
    if (!finished_) finish();
  }
  DecoderMessages(const DecoderMessages&) = delete;
  DecoderMessages& operator=(const DecoderMessages&) = delete;

  /// Gives standard error back and returns the decoders' lines.
  std::vector<std::string> finish() {
    finished_ = true;
    std::fflush(stderr);
    std::string text;
    if (saved_ >= 0 && file_ >= 0) {
      dup2(saved_, STDERR_FILENO);
      std::array<char, 4096> block{};
      lseek(file_, 0, SEEK_SET);
      for (ssize_t count; (count = ::read(file_, block.data(), block.size())) > 0;) {
        text.append(block.data(), static_cast<size_t>(count));
      }
    }
    if (saved_ >= 0) close(saved_);
    if (file_ >= 0) close(file_);

    std::vector<std::string> lines;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
      const std::string line = text.substr(at, end - at);
      at = end;
      if (from_decoder(line)) {
        lines.push_back(line.substr(0, line.find('\n')));
      } else {
        std::fputs(line.c_str(), stderr);
      }
    }
    return lines;
  }

 private:
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }

  /// libpng marks its lines; libjpeg's warnings (jerror.h) and OpenCV's are known by how they
  /// begin.
  static bool from_decoder(std::string_view line) {
    constexpr std::array<std::string_view, 13> kBeginnings = {"libpng ",
                                                              "Corrupt JPEG data",
                                                              "Premature end of JPEG",
                                                              "Invalid SOS",
                                                              "Inconsistent progression",
                                                              "Unknown Adobe color",
                                                              "Warning: unknown",
                                                              "Application transferred",
                                                              "OpenCV(",
                                                              "OpenCV: terminate",
                                                              "imdecode_(",
                                                              "[ WARN:",
                                                              "[ERROR:"};
    return line == "\n" || std::any_of(kBeginnings.begin(), kBeginnings.end(),
                                       [&](auto beginning) { return line.starts_with(beginning); });
  }

  std::lock_guard<std::mutex> lock_;
  int saved_ = -1;
  int file_ = -1;
  bool finished_ = false;
};

/// The complaint that means lost pixels, if there is one. libjpeg decodes on after such damage and
/// fills the rest with grey; its other warnings are harmless.
std::optional<std::string> damage(const std::vector<std::string>& messages) {
  constexpr std::array<std::string_view, 6> kDamage = {
      "premature end of data segment", "bad Huffman code", "bad arithmetic code",
      "Premature end of JPEG",         "instead of RST",   "Inconsistent progression"};
  for (const std::string& message : messages) {
    for (const std::string_view sign : kDamage) {
      if (message.find(sign) != std::string::npos) return message;
    }
  }
  return std::nullopt;
}

/// OpenCV's decoding with everything it may throw or print turned into an Error.
cv::Mat decode(std::string_view bytes, std::string_view format, ImageSize size, int flags,
               const std::string& origin) {
  const cv::Mat encoded(1, static_cast<int>(bytes.size()), CV_8UC1,
                        const_cast<char*>(bytes.data()));
  cv::Mat decoded;
  std::string why;
  std::vector<std::string> messages;
  {
    DecoderMessages capture;
    try {
      decoded = cv::imdecode(encoded, flags | cv::IMREAD_IGNORE_ORIENTATION);
    } catch (const cv::Exception&) {
      decoded.release();
    }
    messages = capture.finish();
  }
  if (const auto lost = damage(messages)) {
    why = *lost;
  } else if (decoded.empty()) {
    why = "the decoder gives up";
    constexpr std::string_view kPngError = "libpng error: ";
    for (const std::string& message : messages) {
      if (message.starts_with(kPngError)) why = message.substr(kPngError.size());
    }
  } else if (decoded.rows != size.height || decoded.cols != size.width) {
    why = "its header and its data disagree about the size";
  }
  if (!why.empty()) fail("{}: the {} is damaged ({})", origin, format, why);
  return decoded;
}

}  // namespace

Image decode_pixels(std::string_view bytes, std::string_view format, ImageSize size, bool grey16,
                    const std::string& origin) {
  constexpr size_t kMaxFileBytes = size_t{1} << 31;  // OpenCV counts the bytes with an int
  if (bytes.size() >= kMaxFileBytes) {
    fail("{}: the {} is a file of {} bytes; less than {} are read", origin, format, bytes.size(),
         kMaxFileBytes);
  }
  // OpenCV has a formula of its own for these.
  if (format == "JPEG" && is_four_channel_jpeg(ImageBytes(bytes, format, origin)))
    return decode_cmyk_jpeg(bytes, size, origin);
  const cv::Mat decoded =
      decode(bytes, format, size,
             grey16 ? cv::IMREAD_GRAYSCALE | cv::IMREAD_ANYDEPTH : cv::IMREAD_COLOR, origin);
  ELASTIKV_ASSERT(decoded.isContinuous() && decoded.type() == (grey16 ? CV_16UC1 : CV_8UC3),
                  "{}: OpenCV gives type {}", origin, decoded.type());
  Image image(size);
  uint8_t* to = image.pixels.data();
  if (grey16) {
    const auto* from = decoded.ptr<uint16_t>();
    for (int64_t i = 0; i < size.pixels(); ++i) {
      std::fill_n(to + i * 3, 3, static_cast<uint8_t>(std::min<uint16_t>(from[i], 255)));
    }
    return image;
  }
  const auto* from = decoded.ptr<uint8_t>();
  for (int64_t i = 0; i < size.pixels() * 3; i += 3) {
    to[i] = from[i + 2];  // OpenCV's order is blue, green, red
    to[i + 1] = from[i + 1];
    to[i + 2] = from[i];
  }
  return image;
}

namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
constexpr double kFontCapitals = 21;  // height of its capitals at scale 1, in pixels

/// Lines about a seventh of the capitals' height wide.
int stroke_of(int64_t height) { return std::max<int>(1, static_cast<int>(height) / 7); }

/// The same pixels, not copied.
cv::Mat mat_of(Image& image) {
  return {static_cast<int>(image.size.height), static_cast<int>(image.size.width), CV_8UC3,
          image.pixels.data()};
}

}  // namespace

void draw_text(Image& image, int64_t x, int64_t y, const std::string& text, int64_t height,
               Colour colour) {
  cv::Mat target = mat_of(image);
  // Both are in our order of channels here, which OpenCV does not need to know.
  cv::putText(target, text, {static_cast<int>(x), static_cast<int>(y)}, kFont,
              static_cast<double>(height) / kFontCapitals,
              cv::Scalar(colour.red, colour.green, colour.blue), stroke_of(height), cv::LINE_AA);
}

int64_t text_width(const std::string& text, int64_t height) {
  int baseline = 0;
  return cv::getTextSize(text, kFont, static_cast<double>(height) / kFontCapitals,
                         stroke_of(height), &baseline)
      .width;
}

std::string encode_png(const Image& image) {
  Image copy = image;
  cv::Mat bgr;
  cv::cvtColor(mat_of(copy), bgr, cv::COLOR_RGB2BGR);
  std::vector<unsigned char> bytes;
  ELASTIKV_ASSERT(cv::imencode(".png", bgr, bytes), "an image of {} x {} pixels is not encoded",
                  image.size.height, image.size.width);
  return {bytes.begin(), bytes.end()};
}

void write_png(const std::filesystem::path& file, const Image& image) {
  write_file_atomically(file, encode_png(image));
}

}  // namespace elastikv
