#pragma once

#include <string>
#include <string_view>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace elastikv {

/// "cpu", "cuda" or "cuda:N", or the name of a backend that is registered with LibTorch (the tests
/// have one). Error for anything else; whether a GPU is there is checked by require_available.
c10::Device parse_device(std::string_view name);

/// Error when the program was built without CUDA or no such GPU is present. Call before anything
/// expensive.
void require_available(c10::Device device);
/// Whether that would pass.
bool is_available(c10::Device device);

/// "fp32", "bf16" or "fp16" (also float32, bfloat16, float16). Error for anything else.
c10::ScalarType parse_dtype(std::string_view name);
/// The short name: fp32, bf16, fp16, or torch's own name for the others.
std::string dtype_name(c10::ScalarType dtype);

}  // namespace elastikv
