#pragma once

#include <memory>

#include "base/json_fields.h"
#include "models/idefics3/config.h"
#include "models/image_prompt.h"

namespace elastikv {

/// `processor`: the fields of processor_config.json.
std::unique_ptr<ImagePrompt> make_image_prompt(const Idefics3Config& config,
                                               const JsonFields& processor);

}  // namespace elastikv
