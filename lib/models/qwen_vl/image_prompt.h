#pragma once

#include <memory>

#include "models/image_prompt.h"
#include "models/qwen_vl/config.h"

namespace elastikv {

std::unique_ptr<ImagePrompt> make_image_prompt(const QwenVlConfig& config);

}  // namespace elastikv
