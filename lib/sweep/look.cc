#include "sweep/look.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/base64.h"
#include "base/error.h"
#include "image/drawing.h"
#include "image/image.h"
#include "image/image_processor.h"
#include "image/resample.h"

namespace elastikv {
namespace {

/// The long side of a thumbnail, in pixels.
constexpr int64_t kThumbnailSide = 192;

/// What the vision tower sees of an image, as a small PNG in base64.
std::string thumbnail(const ImageProcessor& processor, const ImageFile& file) {
  Image seen = processor.crop(read_image(file));
  const int64_t longest = std::max(seen.size.height, seen.size.width);
  if (longest > kThumbnailSide) {
    const auto scaled = [&](int64_t side) {
      return std::max<int64_t>(1, (side * kThumbnailSide + longest / 2) / longest);
    };
    seen = resample(seen, {scaled(seen.size.height), scaled(seen.size.width)},
                    ResampleFilter::kBicubic);
  }
  return encode_base64(encode_png(seen));
}

std::vector<float> mean_over_heads(const at::Tensor& column_sums) {
  const at::Tensor mean = column_sums.mean(0).contiguous();
  const auto* data = mean.const_data_ptr<float>();
  return {data, data + mean.numel()};
}

}  // namespace

SampleDetail look_at_prompt(const PromptReader& reader, const Sample& sample,
                            const TokenizedPrompt& prompt, const PromptStatistics& statistics) {
  SampleDetail detail;
  detail.prompt_tokens = statistics.prompt_tokens;
  if (sample.images.size() == 1) {
    const TokenSpan span = prompt.image_span();
    detail.image_begin = span.begin;
    detail.image_end = span.end;
    const ImageSize grid = reader.grid(sample.images);
    if (grid.pixels() == span.end - span.begin) {
      detail.grid_rows = grid.height;
      detail.grid_columns = grid.width;
    }
    detail.thumbnail = thumbnail(*reader.image_processor(), sample.images.front());
  }
  for (const LayerStatistics& layer : statistics.layers)
    detail.importance.push_back(mean_over_heads(layer.column_sums));
  return detail;
}

std::vector<std::vector<std::vector<int64_t>>> kept_positions(const KVCache& cache) {
  std::vector<std::vector<std::vector<int64_t>>> kept;
  for (int64_t layer = 0; layer < cache.shape().layers; ++layer) {
    auto& groups = kept.emplace_back();
    for (int64_t group = 0; group < cache.groups(layer); ++group) {
      groups.push_back(cache.positions(layer, group));
      std::sort(groups.back().begin(), groups.back().end());
    }
    // Heads that decide for themselves may still agree.
    const bool same = std::all_of(groups.begin(), groups.end(),
                                  [&](const auto& other) { return other == groups.front(); });
    if (same) groups.resize(1);
  }
  return kept;
}

}  // namespace elastikv
