#include "image/processor_fields.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kNewName = "ImageProcessor";
constexpr std::string_view kOldName = "FeatureExtractor";

/// The key that names the type.
std::string_view type_key(const JsonFields& fields) {
  return !fields.has("image_processor_type") && fields.has("feature_extractor_type")
             ? "feature_extractor_type"
             : "image_processor_type";
}

}  // namespace

std::string processor_type(const JsonFields& fields) {
  std::string type = fields.string(type_key(fields));
  if (type.ends_with(kOldName))
    type.replace(type.size() - kOldName.size(), kOldName.size(), kNewName);
  for (const std::string_view variant : {"Fast", "Pil"}) {
    const std::string_view whole = type;
    if (whole.ends_with(variant) &&
        whole.substr(0, whole.size() - variant.size()).ends_with(kNewName)) {
      type.resize(type.size() - variant.size());
      break;
    }
  }
  return type;
}

void fail_processor_type(const JsonFields& fields,
                         std::initializer_list<std::string_view> supported) {
  const std::string_view key = type_key(fields);
  fields.fail_key(key, fmt::format("is '{}', which is not supported; supported: {}, also with Fast "
                                   "or Pil at the end",
                                   fields.string(key), fmt::join(supported, ", ")));
}

std::string require_processor_type(const JsonFields& fields,
                                   std::initializer_list<std::string_view> supported) {
  std::string type = processor_type(fields);
  if (std::find(supported.begin(), supported.end(), type) == supported.end()) {
    fail_processor_type(fields, supported);
  }
  return type;
}

bool has_exactly(const Json& value, std::initializer_list<std::string_view> keys) {
  if (!value.is_object()) return false;
  size_t present = 0;
  for (const auto& [name, member] : value.items()) {
    if (member.is_null()) continue;
    if (std::find(keys.begin(), keys.end(), name) == keys.end()) return false;
    ++present;
  }
  return present == keys.size();
}

int64_t read_side(const JsonFields& fields, std::string_view key, const Json& value) {
  if (!value.is_number_integer() || value.get<int64_t>() < 1 ||
      value.get<int64_t>() > kMaxImageSide) {
    fields.fail_key(key, fmt::format("has the side {}, an integer from 1 to {} is needed",
                                     value.dump(), kMaxImageSide));
  }
  return value.get<int64_t>();
}

std::optional<ImageSize> read_both_sides(const JsonFields& fields, std::string_view key,
                                         const Json& value) {
  if (has_exactly(value, {"height", "width"})) {
    return ImageSize{read_side(fields, key, value["height"]),
                     read_side(fields, key, value["width"])};
  }
  if (value.is_array() && value.size() == 2) {
    return ImageSize{read_side(fields, key, value[0]), read_side(fields, key, value[1])};
  }
  return std::nullopt;
}

std::vector<ImageSize> read_pinpoints(const JsonFields& fields) {
  const Json& value = fields.json()[std::string(kPinpointsKey)];
  std::vector<ImageSize> pinpoints;
  if (value.is_array()) {
    pinpoints.reserve(value.size());
    for (const Json& item : value) {
      if (!item.is_array() || item.size() != 2) break;
      pinpoints.push_back(*read_both_sides(fields, kPinpointsKey, item));
    }
  }
  if (pinpoints.empty() || pinpoints.size() != value.size()) {
    fields.fail_key(kPinpointsKey,
                    fmt::format("is {}; a list of [height, width] is needed", value.dump()));
  }
  return pinpoints;
}

ResampleFilter read_filter(const JsonFields& fields, ResampleFilter otherwise) {
  const int64_t number = fields.integer("resample", static_cast<int64_t>(otherwise));
  if (number < static_cast<int64_t>(ResampleFilter::kLanczos) ||
      number > static_cast<int64_t>(ResampleFilter::kHamming)) {
    fields.fail_key("resample",
                    fmt::format("is {}; 1 (lanczos), 2 (bilinear), 3 (bicubic), 4 (box) or 5 "
                                "(hamming) is needed",
                                number));
  }
  return static_cast<ResampleFilter>(number);
}

int64_t read_positive(const JsonFields& fields, std::string_view key, int64_t otherwise) {
  const int64_t value = fields.integer(key, otherwise);
  if (value < 1) fields.fail_key(key, fmt::format("is {}, at least 1 is needed", value));
  return value;
}

void require_pixels(ImageSize size, std::string_view step, ImageSize image) {
  if (size.height <= kMaxImagePixels && size.width <= kMaxImagePixels &&
      size.pixels() <= kMaxImagePixels) {
    return;
  }
  fail(
      "an image of {} x {} pixels (width x height) {} would be {} x {}; at most {} pixels in all "
      "are made",
      image.width, image.height, step, size.width, size.height, kMaxImagePixels);
}

}  // namespace elastikv
