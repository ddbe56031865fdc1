#pragma once

namespace elastikv::emulated {

/// Tells LibTorch's dispatcher of the device's operators: those about memory and views here,
/// attention's (fused_attention.h), copies (copies.h), and for the rest fallback.h.
void register_operators();

}  // namespace elastikv::emulated
