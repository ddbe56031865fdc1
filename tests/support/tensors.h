#pragma once

#include <cstdint>
#include <limits>
#include <random>

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

/// Standard normal f32 values that depend on the seed alone.
inline at::Tensor random_tensor(at::IntArrayRef shape, uint64_t seed) {
  const at::Tensor values = at::empty(shape, at::kFloat);
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal;
  auto* data = values.data_ptr<float>();
  for (int64_t i = 0; i < values.numel(); ++i) data[i] = normal(generator);
  return values;
}

/// Largest absolute difference, in fp32; 0 for two empty tensors.
inline double max_difference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  if (a.numel() == 0) return 0;
  return (a.to(at::kFloat) - b.to(at::kFloat)).abs().max().item<double>();
}
