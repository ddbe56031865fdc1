#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/json_fields.h"
#include "image/image.h"
#include "image/resample.h"

namespace elastikv {

// What the readers of a preprocessor_config.json share, with readers of the same keys in a
// config.json.

/// The image_processor_type (older files: feature_extractor_type, whose FeatureExtractor became
/// ImageProcessor) without the Fast or Pil at its end, which names another implementation of the
/// same processing. Error when neither key is there.
std::string processor_type(const JsonFields& fields);

/// An Error that lists the supported types.
[[noreturn]] void fail_processor_type(const JsonFields& fields,
                                      std::initializer_list<std::string_view> supported);

/// processor_type(); Error when it is none of these.
std::string require_processor_type(const JsonFields& fields,
                                   std::initializer_list<std::string_view> supported);

/// Whether the object holds these keys and no other that is not null.
bool has_exactly(const nlohmann::json& value, std::initializer_list<std::string_view> keys);

/// A side of `key` in pixels, from 1 to kMaxImageSide. Error naming the key.
int64_t read_side(const JsonFields& fields, std::string_view key, const nlohmann::json& value);

/// {"height": h, "width": w} or [h, w]; nothing when `value` is something else.
std::optional<ImageSize> read_both_sides(const JsonFields& fields, std::string_view key,
                                         const nlohmann::json& value);

/// The sizes that the tiles of an image may make up (LLaVA-NeXT, LLaVA-OneVision).
inline constexpr std::string_view kPinpointsKey = "image_grid_pinpoints";
/// The list of [height, width] under kPinpointsKey, which must be there.
std::vector<ImageSize> read_pinpoints(const JsonFields& fields);

/// The number of a filter under 'resample'.
ResampleFilter read_filter(const JsonFields& fields, ResampleFilter otherwise);

/// An integer of at least 1.
int64_t read_positive(const JsonFields& fields, std::string_view key, int64_t otherwise);

/// The most tiles that an image is cut into; a hundred times what any published processor makes.
inline constexpr int64_t kMaxTiles = 10000;

/// Error when an image made on the way would have over kMaxImagePixels.
void require_pixels(ImageSize size, std::string_view step, ImageSize image);

}  // namespace elastikv
