#pragma once

#include "models/architecture.h"

namespace elastikv {

/// LLaVA-1.5, LLaVA-NeXT, LLaVA-OneVision, and the original LLaVA's own layout.
Architectures llava_architectures();

}  // namespace elastikv
