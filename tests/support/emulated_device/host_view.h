#pragma once

#include <ATen/core/Tensor.h>

namespace elastikv::emulated {

bool is_emulated(c10::Device device);

/// A tensor of the CPU over the same memory, which may be touched only by work of the stream. It
/// does not keep the memory: a block that is freed meanwhile is written by later work alone.
at::Tensor host_view(const at::Tensor& tensor);

}  // namespace elastikv::emulated
