#include "prompt_options.h"

#include <filesystem>

#include <CLI/Validators.hpp>

#include "base/log.h"
#include "image/orientation.h"
#include "image/pixel_backend.h"

namespace elastikv {

void PromptOptions::apply_to(ModelChoice& model) const {
  model.prompt_format = format;
  if (image_aspect_ratio != "auto")
    model.image_aspect_ratio = parse_image_aspect_ratio(image_aspect_ratio);
  model.pixels = parse_pixel_backend(pixels);
  if (picture_place == "before") model.picture_place = PicturePlace::kBefore;
  if (picture_place == "after") model.picture_place = PicturePlace::kAfter;
}

std::vector<PictureFile> PromptOptions::pictures(const std::vector<std::string>& files) const {
  std::vector<PictureFile> pictures;
  for (const std::string& file : files) {
    pictures.emplace_back(std::filesystem::path(file),
                          parse_picture_orientation(picture_orientation));
    if (picture_orientation == "stored" && stored_orientation(pictures.back().path) != 1) {
      inform(
          "note: {} is stored turned or mirrored (EXIF) and read as stored; --picture-orientation "
          "exif turns it upright",
          file);
    }
  }
  return pictures;
}

void add_prompt_options(CLI::App& verb, PromptOptions& options) {
  verb.add_option("--prompt-format", options.format,
                  "A format of configs/prompts; auto: as the checkpoint says")
      ->capture_default_str();
  verb.add_option(
          "--image-aspect-ratio", options.image_aspect_ratio,
          "What becomes of what a square would cut off a picture: crop, pad, or auto: as the "
          "checkpoint says")
      ->check(CLI::IsMember({"auto", "crop", "pad"}))
      ->capture_default_str();
  verb.add_option("--pixels", options.pixels,
                  "Whose pixels: pil: those of transformers' processors with Pillow; torchvision: "
                  "those of its processors with torchvision, its default since version 5")
      ->check(CLI::IsMember({"pil", "torchvision"}))
      ->capture_default_str();
  verb.add_option("--picture-place", options.picture_place,
                  "Where pictures go that the question does not place: before, after, or auto: as "
                  "the format says")
      ->check(CLI::IsMember({"auto", "before", "after"}))
      ->capture_default_str();
  verb.add_option(
          "--picture-orientation", options.picture_orientation,
          "Pictures whose file (EXIF) says that they are turned: stored: as they lie there; "
          "exif: turned upright")
      ->check(CLI::IsMember({"stored", "exif"}))
      ->capture_default_str();
}

}  // namespace elastikv
