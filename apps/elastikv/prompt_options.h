#pragma once

#include <string>

#include <CLI/App.hpp>

#include "sweep/cell.h"

namespace elastikv {

/// How a prompt is written and its pictures are shaped, as the command line says it.
struct PromptOptions {
  std::string format = "auto";
  std::string image_aspect_ratio = "auto";
  std::string picture_place = "auto";

  void apply_to(ModelChoice& model) const;
};

/// Adds --prompt-format, --image-aspect-ratio and --picture-place.
void add_prompt_options(CLI::App& verb, PromptOptions& options);

}  // namespace elastikv
