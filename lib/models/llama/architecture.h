#pragma once

#include "models/architecture.h"

namespace elastikv {

/// Decoders of LLaMA's structure alone: LLaMA, Mistral, Qwen2, Qwen3.
Architectures llama_architectures();

}  // namespace elastikv
