#pragma once

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

/// Shows a rate of bytes beside the time: what to hold against the memory's bandwidth.
inline void set_bytes(benchmark::State& state, int64_t bytes_per_iteration) {
  state.SetBytesProcessed(state.iterations() * bytes_per_iteration);
}

}  // namespace elastikv
