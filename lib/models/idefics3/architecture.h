#pragma once

#include "models/architecture.h"

namespace elastikv {

/// Idefics3 and SmolVLM.
Architectures idefics3_architectures();

}  // namespace elastikv
