#include "kernels/linear.h"

#include <ATen/ops/linear.h>

#include "inputs.h"

namespace elastikv {
namespace {

// Arguments: rows of x, out and in features. Bytes are those of the weight, which a step reads
// once.
void optimized(benchmark::State& state, c10::ScalarType dtype) {
  const at::Tensor weight = random_input({state.range(1), state.range(2)}, dtype);
  const at::Tensor x = random_input({state.range(0), state.range(2)}, dtype);
  const Linear linear(weight, {});
  for (auto _ : state) benchmark::DoNotOptimize(linear(x).data_ptr());
  set_bytes(state, weight.numel() * static_cast<int64_t>(weight.element_size()));
}

/// ATen's linear over the weight as it lies in the file.
void reference(benchmark::State& state, c10::ScalarType dtype) {
  const at::Tensor weight = random_input({state.range(1), state.range(2)}, dtype);
  const at::Tensor x = random_input({state.range(0), state.range(2)}, dtype);
  for (auto _ : state) benchmark::DoNotOptimize(at::linear(x, weight).data_ptr());
  set_bytes(state, weight.numel() * static_cast<int64_t>(weight.element_size()));
}

// SmolLM2-135M's gate and up projections and its head; a projection of LLaVA-1.5 7B with as many
// rows as sweeps have cells, and with a prompt's.
void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"rows", "out", "in"});
  for (const int64_t rows : {1, 16, 512}) benchmark->Args({rows, 3072, 576});
  benchmark->Args({1, 49152, 576})->Args({16, 49152, 576});
  for (const int64_t rows : {1, 8, 19, 55, 626, 2628}) benchmark->Args({rows, 11008, 4096});
  benchmark->UseRealTime()->Unit(benchmark::kMicrosecond);
}

BENCHMARK_CAPTURE(optimized, fp32, at::kFloat)->Apply(shapes);
BENCHMARK_CAPTURE(reference, fp32, at::kFloat)->Apply(shapes);
BENCHMARK_CAPTURE(optimized, bf16, at::kBFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(reference, bf16, at::kBFloat16)->Apply(shapes);

}  // namespace
}  // namespace elastikv
