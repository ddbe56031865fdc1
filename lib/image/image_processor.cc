#include "image/image_processor.h"

#include "base/error.h"
#include "base/json_fields.h"
#include "base/nearest_name.h"
#include "image/clip_processor.h"

namespace elastikv {
JsonFields read_image_processor_fields(const std::filesystem::path& checkpoint) {
  const std::filesystem::path nested = checkpoint / "processor_config.json";
  if (std::filesystem::exists(nested)) {
    const JsonFields fields = JsonFields::read(nested);
    if (fields.has("image_processor")) return fields.object("image_processor");
  }
  const std::filesystem::path own = checkpoint / "preprocessor_config.json";
  if (!std::filesystem::exists(own)) {
    fail("{}: no preprocessor_config.json, and no processor_config.json with an 'image_processor'",
         checkpoint.string());
  }
  return JsonFields::read(own);
}

ImageAspectRatio parse_image_aspect_ratio(std::string_view name) {
  if (name == "crop") return ImageAspectRatio::kCrop;
  if (name == "pad") return ImageAspectRatio::kPad;
  fail("unknown image_aspect_ratio '{}'{}", name, suggestion(name, {"crop", "pad"}));
}

std::string_view image_aspect_ratio_name(ImageAspectRatio ratio) {
  return ratio == ImageAspectRatio::kCrop ? "crop" : "pad";
}

std::unique_ptr<ImageProcessor> read_image_processor(const std::filesystem::path& checkpoint,
                                                     std::optional<ImageAspectRatio> ratio) {
  return std::make_unique<ClipProcessor>(
      ClipProcessorConfig::from_fields(read_image_processor_fields(checkpoint), ratio));
}

}  // namespace elastikv
