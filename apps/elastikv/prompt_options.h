#pragma once

#include <optional>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "image/image.h"
#include "sweep/cell.h"

namespace elastikv {

/// How a prompt is written and its images are shaped, as the command line says it.
struct PromptOptions {
  std::string format = PromptSettings::kAuto;
  std::optional<std::string> system;
  std::optional<std::string> date;
  std::vector<std::string> variables;  // NAME=VALUE
  std::string image_aspect_ratio = "auto";
  std::string pixels = "pil";
  std::string image_place = "auto";
  std::string image_orientation = "stored";

  /// The images' files as they are to be read. Tells on standard error of those that are read as
  /// stored although their files say that they are turned.
  std::vector<ImageFile> images(const std::vector<std::string>& files) const;
  static constexpr const char* kNoneWithIds =
      "takes no option for the form of a prompt (--prompt-format, --system, --date, "
      "--template-variable, --image-aspect-ratio, --pixels, --image-place): the ids are the "
      "whole prompt";

  /// Whether any is another than by default.
  bool given() const {
    return format != PromptSettings::kAuto || system || date || !variables.empty() ||
           image_aspect_ratio != "auto" || pixels != "pil" || image_place != "auto";
  }
  void apply_to(ModelChoice& model) const;
};

/// Adds --prompt-format, --system, --date, --template-variable, --image-aspect-ratio, --pixels,
/// --image-place and --image-orientation.
void add_prompt_options(CLI::App& verb, PromptOptions& options);

}  // namespace elastikv
