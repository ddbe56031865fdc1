#pragma once

#include <ATen/core/Tensor.h>

#include "fuzz/support/contract.h"
#include "weights/weight_file.h"

namespace elastikv::fuzz {

/// Reads every element, so that a sanitizer sees those that lie outside the file.
inline void read_all(const at::Tensor& tensor, const TensorInfo& info) {
  require(tensor.sizes() == info.shape, "a tensor has the shape that its file says");
  const at::Tensor copy = tensor.clone(at::MemoryFormat::Contiguous);
  const auto* bytes = static_cast<const unsigned char*>(copy.const_data_ptr());
  volatile unsigned char last = 0;
  for (size_t i = 0; i < copy.nbytes(); ++i) last = bytes[i];
  (void)last;
}

}  // namespace elastikv::fuzz
