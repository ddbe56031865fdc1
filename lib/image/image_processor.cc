#include "image/image_processor.h"

#include <string>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/json_fields.h"
#include "base/nearest_name.h"
#include "image/anyres_processor.h"
#include "image/clip_processor.h"
#include "image/processor_fields.h"
#include "image/smart_resize_processor.h"
#include "image/tile_processor.h"

namespace elastikv {

JsonFields read_image_processor_fields(const std::filesystem::path& checkpoint) {
  const std::filesystem::path nested = checkpoint / "processor_config.json";
  if (path_exists(nested)) {
    const JsonFields fields = JsonFields::read(nested);
    if (fields.has("image_processor")) return fields.object("image_processor");
  }
  const std::filesystem::path own = checkpoint / "preprocessor_config.json";
  if (!path_exists(own)) {
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
                                                     const ImageChoice& choice) {
  return make_image_processor(read_image_processor_fields(checkpoint), choice);
}

std::unique_ptr<ImageProcessor> make_image_processor(const JsonFields& fields,
                                                     const ImageChoice& choice) {
  const std::string type = processor_type(fields);
  const bool torchvision = choice.pixels == PixelBackend::kTorchvision;
  // Says the file as well.
  const auto require_filter = [&](ResampleFilter filter) {
    if (!torchvision) return;
    try {
      require_torchvision_filter(filter);
    } catch (const Error& error) {
      fail("{}: {}", fields.origin(), error.what());
    }
  };
  if (type == "CLIPImageProcessor" || type == "LlavaImageProcessor") {
    ClipProcessorConfig config = ClipProcessorConfig::from_fields(fields, choice.aspect_ratio);
    require_filter(config.resample);
    config.normalization.backend = choice.pixels;
    return std::make_unique<ClipProcessor>(config);
  }
  std::unique_ptr<ImageProcessor> processor;
  if (type == "Qwen2VLImageProcessor" || type == "Qwen2_5_VLImageProcessor") {
    SmartResizeProcessorConfig config = SmartResizeProcessorConfig::from_fields(fields);
    require_filter(config.resample);
    config.normalization.backend = choice.pixels;
    processor = std::make_unique<SmartResizeProcessor>(config);
  } else if (type == "Idefics3ImageProcessor" || type == "SmolVLMImageProcessor") {
    const TileProcessorConfig config = TileProcessorConfig::from_fields(fields);
    require_filter(config.resample);
    if (torchvision) {
      fail(
          "{}: pixels 'torchvision' cannot be had of {}, which cuts and pads otherwise there; "
          "leave it out",
          fields.origin(), type);
    }
    processor = std::make_unique<TileProcessor>(config);
  } else if (type == "LlavaNextImageProcessor" || type == "LlavaOnevisionImageProcessor") {
    AnyresProcessorConfig config = AnyresProcessorConfig::from_fields(fields);
    require_filter(config.view.resample);
    config.view.normalization.backend = choice.pixels;
    processor = std::make_unique<AnyresProcessor>(std::move(config));
  } else {
    fail_processor_type(
        fields, {"CLIPImageProcessor", "LlavaImageProcessor", "LlavaNextImageProcessor",
                 "LlavaOnevisionImageProcessor", "Qwen2VLImageProcessor",
                 "Qwen2_5_VLImageProcessor", "Idefics3ImageProcessor", "SmolVLMImageProcessor"});
  }
  if (choice.aspect_ratio) {
    fail(
        "{}: image_aspect_ratio '{}' is given, but a {} neither crops nor pads to a square; leave "
        "it out",
        fields.origin(), image_aspect_ratio_name(*choice.aspect_ratio), type);
  }
  return processor;
}

}  // namespace elastikv
