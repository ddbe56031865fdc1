#pragma once

#include "models/architecture.h"

namespace elastikv {

/// Qwen-VL-Chat.
Architectures qwen_vl_architectures();

}  // namespace elastikv
