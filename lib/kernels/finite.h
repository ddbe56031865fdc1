#pragma once

#include <ATen/core/Tensor.h>

namespace elastikv {

/// Whether every element is a finite number; true for an undefined or empty tensor. Any floating
/// dtype, any device. Reads the elements once, as a sum, which no NaN and no infinity leaves
/// finite; again only where that sum is not.
bool all_finite(const at::Tensor& values);

}  // namespace elastikv
