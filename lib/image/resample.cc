#include "image/resample.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/error.h"

namespace elastikv {
namespace {

/// 32 bits less 8 for the value and 2 for the overshoot of filters with negative lobes.
constexpr int kFractionBits = 32 - 8 - 2;

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

double lanczos(double x) { return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0; }

double bilinear(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

double box(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

double hamming(double x) {
  x = std::abs(x);
  return x < 1.0 ? sinc(x) * (0.54 + 0.46 * std::cos(x * std::numbers::pi)) : 0.0;
}

struct Kernel {
  double (*weight)(double);
  double support;
};

Kernel kernel_of(ResampleFilter filter) {
  switch (filter) {
    case ResampleFilter::kLanczos:
      return {lanczos, 3.0};
    case ResampleFilter::kBilinear:
      return {bilinear, 1.0};
    case ResampleFilter::kBicubic:
      return {bicubic, 2.0};
    case ResampleFilter::kBox:
      return {box, 0.5};
    case ResampleFilter::kHamming:
      return {hamming, 1.0};
  }
  ELASTIKV_ASSERT(false, "no such filter: {}", static_cast<int>(filter));
  return {};
}

/// The input samples that one output sample is made of.
struct Taps {
  int64_t first = 0;
  int64_t count = 0;
  const int32_t* weights = nullptr;  // [count], fixed point
};

/// The taps of the output samples `begin` ... `begin + count - 1` along one axis.
class Axis final {
 public:
  Axis(int64_t in, int64_t out, int64_t begin, int64_t count, Kernel kernel) {
    const double scale = static_cast<double>(in) / static_cast<double>(out);
    const double widening = std::max(scale, 1.0);
    const double support = kernel.support * widening;
    const double inverse_widening = 1.0 / widening;
    stride_ = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
    weights_.resize(static_cast<size_t>(count * stride_));
    taps_.resize(static_cast<size_t>(count));
    std::vector<double> exact(static_cast<size_t>(stride_));
    for (int64_t i = 0; i < count; ++i) {
      const double centre = (static_cast<double>(begin + i) + 0.5) * scale;
      const auto first =
          std::max<int64_t>(0, static_cast<int64_t>(std::floor(centre - support + 0.5)));
      const auto end =
          std::min<int64_t>(in, static_cast<int64_t>(std::floor(centre + support + 0.5)));
      double sum = 0.0;
      for (int64_t t = 0; t < end - first; ++t) {
        const double x = (static_cast<double>(first + t) - centre + 0.5) * inverse_widening;
        sum += exact[static_cast<size_t>(t)] = kernel.weight(x);
      }
      int32_t* weights = weights_.data() + i * stride_;
      for (int64_t t = 0; t < end - first; ++t) {
        double weight = exact[static_cast<size_t>(t)];
        if (sum != 0.0) weight /= sum;
        const double fixed = weight * (1 << kFractionBits);
        weights[t] = static_cast<int32_t>(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
      }
      taps_[static_cast<size_t>(i)] = {first, end - first, weights};
    }
  }

  int64_t count() const { return static_cast<int64_t>(taps_.size()); }
  const Taps& operator[](int64_t i) const { return taps_[static_cast<size_t>(i)]; }
  /// The input samples that any of the outputs needs.
  int64_t first_input() const { return taps_.front().first; }
  int64_t end_input() const { return taps_.back().first + taps_.back().count; }

 private:
  int64_t stride_ = 0;
  std::vector<int32_t> weights_;  // [count, stride]
  std::vector<Taps> taps_;
};

uint8_t to_level(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

constexpr int32_t kHalf = 1 << (kFractionBits - 1);

void horizontal_pass(const uint8_t* from, const Axis& axis, uint8_t* to) {
  for (int64_t x = 0; x < axis.count(); ++x) {
    const Taps& taps = axis[x];
    const uint8_t* in = from + taps.first * 3;
    int32_t red = kHalf;
    int32_t green = kHalf;
    int32_t blue = kHalf;
    for (int64_t t = 0; t < taps.count; ++t) {
      red += in[t * 3] * taps.weights[t];
      green += in[t * 3 + 1] * taps.weights[t];
      blue += in[t * 3 + 2] * taps.weights[t];
    }
    to[x * 3] = to_level(red);
    to[x * 3 + 1] = to_level(green);
    to[x * 3 + 2] = to_level(blue);
  }
}

/// `sums` is scratch space of one row.
void vertical_pass(const Image& from, int64_t row_offset, const Taps& taps,
                   std::vector<int32_t>& sums, uint8_t* to) {
  std::fill(sums.begin(), sums.end(), kHalf);
  for (int64_t t = 0; t < taps.count; ++t) {
    const uint8_t* in = from.row(taps.first + t - row_offset);
    const int32_t weight = taps.weights[t];
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += in[i] * weight;
  }
  for (size_t i = 0; i < sums.size(); ++i) to[i] = to_level(sums[i]);
}

}  // namespace

std::string_view filter_name(ResampleFilter filter) {
  switch (filter) {
    case ResampleFilter::kLanczos:
      return "lanczos";
    case ResampleFilter::kBilinear:
      return "bilinear";
    case ResampleFilter::kBicubic:
      return "bicubic";
    case ResampleFilter::kBox:
      return "box";
    case ResampleFilter::kHamming:
      return "hamming";
  }
  ELASTIKV_ASSERT(false, "no such filter: {}", static_cast<int>(filter));
  return {};
}

Image resample(const Image& image, ImageSize size, ResampleFilter filter) {
  return resample(image, size, filter, {/*top=*/0, /*left=*/0, size});
}

Image resample(const Image& image, ImageSize size, ResampleFilter filter, const Region& region) {
  ELASTIKV_ASSERT(image.size.height > 0 && image.size.width > 0, "resampling an empty image");
  ELASTIKV_ASSERT(region.size.height > 0 && region.size.width > 0 && region.top >= 0 &&
                      region.left >= 0 && region.top + region.size.height <= size.height &&
                      region.left + region.size.width <= size.width,
                  "region {}x{} at ({}, {}) leaves an image of {}x{}", region.size.height,
                  region.size.width, region.top, region.left, size.height, size.width);
  const Kernel kernel = kernel_of(filter);
  const Axis columns(image.size.width, size.width, region.left, region.size.width, kernel);
  const Axis rows(image.size.height, size.height, region.top, region.size.height, kernel);

  // A side that keeps its length has all its weight on one sample: those passes copy exactly.
  const int64_t row_offset = rows.first_input();
  Image narrow({rows.end_input() - row_offset, region.size.width});
  for (int64_t y = 0; y < narrow.size.height; ++y) {
    horizontal_pass(image.row(row_offset + y), columns, narrow.row(y));
  }
  Image result(region.size);
  std::vector<int32_t> sums(static_cast<size_t>(region.size.width * 3));
  for (int64_t y = 0; y < region.size.height; ++y) {
    vertical_pass(narrow, row_offset, rows[y], sums, result.row(y));
  }
  return result;
}

}  // namespace elastikv
