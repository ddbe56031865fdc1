#pragma once

#include <memory>

#include "base/json_fields.h"
#include "models/image_prompt.h"
#include "models/llava/config.h"

namespace elastikv {

/// `processor`: the fields of processor_config.json.
std::unique_ptr<ImagePrompt> make_image_prompt(const LlavaConfig& config,
                                               const JsonFields& processor);

}  // namespace elastikv
