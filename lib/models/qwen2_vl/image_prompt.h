#pragma once

#include <filesystem>
#include <memory>

#include "models/image_prompt.h"
#include "models/qwen2_vl/config.h"

namespace elastikv {

/// `folder`: its image processor's files say what patch_size and merge_size are.
std::unique_ptr<ImagePrompt> make_image_prompt(const Qwen2VlConfig& config,
                                               const std::filesystem::path& folder);

}  // namespace elastikv
