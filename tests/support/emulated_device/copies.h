#pragma once

#include <ATen/core/Tensor.h>

namespace elastikv::emulated {

/// Tensor::copy_ where one of the two is on the device, in as many pieces as CUDA takes for it:
/// what changes its dtype or its strides on the way is made contiguous first, on the side where it
/// is. A copy between the two sides waits for the device, unless it is `non_blocking` and the host
/// side is pinned; then it is queued, and the host must leave that memory alone until it has
/// waited. (From pageable memory it is read at once, as the driver does.)
void copy(const at::Tensor& from, const at::Tensor& to, bool non_blocking);

/// The number in a tensor of one element on the device; waits for it.
at::Scalar to_number(const at::Tensor& tensor);

}  // namespace elastikv::emulated
