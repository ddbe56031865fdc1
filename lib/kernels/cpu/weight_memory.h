#pragma once

#include <ATen/core/Tensor.h>

namespace elastikv::cpu {

/// A copy of a contiguous tensor in memory that the system is asked to map in pages of 2 MiB, many
/// tensors to a page. Reading a model's weights once per token, the processor otherwise spends a
/// tenth of the time on address translation (measured on a virtual machine).
at::Tensor in_huge_pages(const at::Tensor& x);

}  // namespace elastikv::cpu
