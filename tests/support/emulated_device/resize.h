#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Storage.h>

namespace elastikv::emulated {

/// Makes a storage on the device that large; what it holds moves with it.
void resize_storage(const c10::Storage& storage, size_t bytes);
/// Tensor::resize_ on the device: larger storage where it is needed, contiguous strides.
void resize_tensor(const at::Tensor& tensor, c10::IntArrayRef sizes);

}  // namespace elastikv::emulated
