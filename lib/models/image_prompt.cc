#include "models/image_prompt.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"

namespace elastikv {

ImageText ImagePrompt::text(const ImageGeometry& geometry) const {
  ImageText text = write(geometry);
  const int64_t made = features(geometry);
  if (text.placeholders() != made) {
    fail(
        "an image of {} x {} pixels (width x height) gets {} image tokens in the prompt ({}), but "
        "the vision tower makes {} features of it ({})",
        geometry.image.width, geometry.image.height, text.placeholders(), processor_keys(), made,
        config_keys());
  }
  return text;
}

JsonFields read_processor_config(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "processor_config.json";
  if (!folder.empty() && path_exists(file)) return JsonFields::read(file);
  return {nlohmann::json::object(), file.string()};
}

void require_view(const ImageGeometry& geometry, int64_t image_size) {
  if (geometry.view == ImageSize{image_size, image_size}) return;
  fail(
      "the image processor makes views of {} x {} pixels (width x height; "
      "preprocessor_config.json: size, crop_size), the vision tower takes {} x {} (config.json: "
      "vision_config.image_size)",
      geometry.view.width, geometry.view.height, image_size, image_size);
}

}  // namespace elastikv
