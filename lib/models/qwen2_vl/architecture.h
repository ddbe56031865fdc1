#pragma once

#include "models/architecture.h"

namespace elastikv {

/// Qwen2-VL and Qwen2.5-VL.
Architectures qwen2_vl_architectures();

}  // namespace elastikv
