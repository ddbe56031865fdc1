#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <benchmark/benchmark.h>

namespace elastikv {

/// Standard normal values, the same in every run.
inline at::Tensor random_input(at::IntArrayRef shape, c10::ScalarType dtype = at::kFloat) {
  at::Generator generator =
      at::globalContext().defaultGenerator(c10::Device(c10::DeviceType::CPU)).clone();
  generator.set_current_seed(7);
  return at::empty(shape, at::TensorOptions(at::kFloat))
      .normal_(/*mean=*/0, /*std=*/1, generator)
      .to(dtype);
}

/// How many arrays of `bytes` make so many MiB, one at least: calls that go through them in turn,
/// as a model's layers are gone through, find nothing in a cache that is smaller.
inline size_t arrays_of(int64_t mebibytes, int64_t bytes) {
  return static_cast<size_t>(std::max<int64_t>((mebibytes * (1 << 20) + bytes - 1) / bytes, 1));
}

/// Shows a rate of bytes beside the time: what to hold against the memory's bandwidth.
inline void set_bytes(benchmark::State& state, int64_t bytes_per_iteration) {
  state.SetBytesProcessed(state.iterations() * bytes_per_iteration);
}

}  // namespace elastikv
