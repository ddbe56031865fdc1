#include "image/pixel_backend.h"

#include <algorithm>
#include <cstdint>

#include <ATen/core/Tensor.h>
#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include "base/error.h"
#include "base/nearest_name.h"

namespace elastikv {

PixelBackend parse_pixel_backend(std::string_view name) {
  if (name == "pil") return PixelBackend::kPil;
  if (name == "torchvision") return PixelBackend::kTorchvision;
  fail("unknown pixels '{}'{}", name, suggestion(name, {"pil", "torchvision"}));
}

std::string_view pixel_backend_name(PixelBackend backend) {
  return backend == PixelBackend::kPil ? "pil" : "torchvision";
}

PixelBackend pixel_backend_of(std::string_view identity) {
  return identity.find(" pixels=torchvision") == std::string_view::npos
             ? PixelBackend::kPil
             : PixelBackend::kTorchvision;
}

std::string shown_image_processing(const std::string& identity) {
  return pixel_backend_of(identity) == PixelBackend::kPil ? identity + " pixels=pil" : identity;
}

void require_torchvision_filter(ResampleFilter filter) {
  if (filter == ResampleFilter::kBilinear || filter == ResampleFilter::kBicubic) return;
  if (filter == ResampleFilter::kLanczos) {
    fail(
        "pixels 'torchvision' cannot be had of a checkpoint that resizes by Lanczos's filter: "
        "torchvision has it from 0.27 on, and before that transformers takes another filter; leave "
        "it out");
  }
  fail(
      "pixels 'torchvision' cannot be had of a checkpoint that resizes by the {} filter, which "
      "torchvision has not; leave it out",
      filter_name(filter));
}

Image torchvision_resize(const Image& image, ImageSize size, ResampleFilter filter) {
  require_torchvision_filter(filter);
  if (image.size == size) return image;
  if (size.pixels() == 1) {
    fail(
        "an image of {} x {} pixels (width x height) would become 1 x 1 pixel, on which "
        "torchvision's resizing fails; take pixels 'pil'",
        image.size.width, image.size.height);
  }
  // [1, 3, height, width] with the channels last, as the pixels lie. Nothing writes to them.
  const at::Tensor from = at::from_blob(const_cast<uint8_t*>(image.pixels.data()),
                                        {1, image.size.height, image.size.width, 3}, at::kByte)
                              .permute({0, 3, 1, 2});
  const at::Tensor to =
      filter == ResampleFilter::kBicubic
          ? at::_upsample_bicubic2d_aa(from, {size.height, size.width}, /*align_corners=*/false,
                                       /*scales_h=*/{}, /*scales_w=*/{})
          : at::_upsample_bilinear2d_aa(from, {size.height, size.width}, /*align_corners=*/false,
                                        /*scales_h=*/{}, /*scales_w=*/{});
  const at::Tensor rows = to.permute({0, 2, 3, 1}).contiguous();
  Image result(size);
  std::copy_n(rows.const_data_ptr<uint8_t>(), result.pixels.size(), result.pixels.data());
  return result;
}

Image resize_as(PixelBackend backend, const Image& image, ImageSize size, ResampleFilter filter,
                const Region& region) {
  if (backend == PixelBackend::kPil) return resample(image, size, filter, region);
  const Image whole = torchvision_resize(image, size, filter);
  if (region.size == size) return whole;
  Image part(region.size);
  for (int64_t y = 0; y < part.size.height; ++y)
    std::copy_n(whole.row(region.top + y) + region.left * 3, part.size.width * 3, part.row(y));
  return part;
}

Image resize_as(PixelBackend backend, const Image& image, ImageSize size, ResampleFilter filter) {
  return resize_as(backend, image, size, filter, {/*top=*/0, /*left=*/0, size});
}

}  // namespace elastikv
