#include "prompt_options.h"

#include <filesystem>
#include <string>

#include <CLI/Validators.hpp>

#include "base/log.h"
#include "image/orientation.h"
#include "image/pixel_backend.h"

namespace elastikv {
namespace {

/// The name that an option had before. No help shows it; it sets the same, and says what the option
/// is called now.
void add_earlier_name(CLI::App& verb, const std::string& earlier, const std::string& now,
                      std::string& value, const CLI::Validator& values) {
  verb.add_option(earlier, value)
      ->group("")
      ->check(values)
      ->excludes(verb.get_option(now))
      ->each([earlier, now](const std::string&) {
        inform("{} is now called {}; both names are taken", earlier, now);
      });
}

}  // namespace

void PromptOptions::apply_to(ModelChoice& model) const {
  model.prompt.format = format;
  model.prompt.system = system;
  model.prompt.date = date;
  for (const std::string& variable : variables) {
    const size_t at = variable.find('=');
    model.prompt.variables[variable.substr(0, at)] = variable_json(variable.substr(at + 1));
  }
  if (image_aspect_ratio != "auto")
    model.image_aspect_ratio = parse_image_aspect_ratio(image_aspect_ratio);
  model.pixels = parse_pixel_backend(pixels);
  if (image_place == "before") model.prompt.place = ImagePlace::kBefore;
  if (image_place == "after") model.prompt.place = ImagePlace::kAfter;
}

std::vector<ImageFile> PromptOptions::images(const std::vector<std::string>& files) const {
  std::vector<ImageFile> images;
  for (const std::string& file : files) {
    images.emplace_back(std::filesystem::path(file), parse_image_orientation(image_orientation));
    if (image_orientation == "stored" && stored_orientation(images.back().path) != 1) {
      inform(
          "note: {} is stored turned or mirrored (EXIF) and read as stored; --image-orientation "
          "exif turns it upright",
          file);
    }
  }
  return images;
}

void add_prompt_options(CLI::App& verb, PromptOptions& options) {
  verb.add_option("--prompt-format", options.format,
                  "A format of configs/prompts; auto: the checkpoint's own chat template")
      ->capture_default_str();
  verb.add_option("--system", options.system,
                  "Text of the system turn; without it what the template or format writes");
  verb.add_option("--date", options.date,
                  fmt::format("The day that a chat template takes for today; {} if not given",
                              PromptSettings::kDefaultDate))
      ->check([](const std::string& text) {
        return parse_day(text) ? "" : text + " is no day like 2024-07-26";
      });
  verb.add_option(
          "--template-variable", options.variables,
          "NAME=VALUE for the chat template, such as enable_thinking=false; may be repeated")
      ->allow_extra_args(false)
      ->check([](const std::string& text) {
        return text.find('=') == std::string::npos || text.front() == '='
                   ? text + " is not NAME=VALUE"
                   : "";
      });
  verb.add_option(
          "--image-aspect-ratio", options.image_aspect_ratio,
          "What becomes of what a square would cut off an image: crop, pad, or auto: as the "
          "checkpoint says")
      ->check(CLI::IsMember({"auto", "crop", "pad"}))
      ->capture_default_str();
  verb.add_option("--pixels", options.pixels,
                  "Whose pixels: pil: those of transformers' processors with Pillow; torchvision: "
                  "those of its processors with torchvision, its default since version 5")
      ->check(CLI::IsMember({"pil", "torchvision"}))
      ->capture_default_str();
  const CLI::IsMember places({"auto", "before", "after"});
  verb.add_option("--image-place", options.image_place,
                  "Where images go that the question does not place: before, after, or auto: as "
                  "the format says")
      ->check(places)
      ->capture_default_str();
  const CLI::IsMember orientations({"stored", "exif"});
  verb.add_option("--image-orientation", options.image_orientation,
                  "Images whose file (EXIF) says that they are turned: stored: as they lie there; "
                  "exif: turned upright")
      ->check(orientations)
      ->capture_default_str();
  add_earlier_name(verb, "--picture-place", "--image-place", options.image_place, places);
  add_earlier_name(verb, "--picture-orientation", "--image-orientation", options.image_orientation,
                   orientations);
}

}  // namespace elastikv
