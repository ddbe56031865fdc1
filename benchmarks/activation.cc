#include "kernels/activation.h"

#include "inputs.h"

namespace elastikv {
namespace {

using Kernel = at::Tensor (*)(const at::Tensor&);

// Arguments: rows, size of the gate (SmolLM2-135M's).
void gate(benchmark::State& state, Kernel kernel, c10::ScalarType dtype) {
  const at::Tensor x = random_input({state.range(0), 2 * state.range(1)}, dtype);
  for (auto _ : state) benchmark::DoNotOptimize(kernel(x).data_ptr());
  set_bytes(state, 3 * x.numel() / 2 * static_cast<int64_t>(x.element_size()));
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"rows", "size"})->Args({1, 1536})->Args({16, 1536})->Args({512, 1536});
  benchmark->UseRealTime();
}

BENCHMARK_CAPTURE(gate, optimized_fp32, gated_silu, at::kFloat)->Apply(shapes);
BENCHMARK_CAPTURE(gate, reference_fp32, reference::gated_silu, at::kFloat)->Apply(shapes);
BENCHMARK_CAPTURE(gate, optimized_bf16, gated_silu, at::kBFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(gate, reference_bf16, reference::gated_silu, at::kBFloat16)->Apply(shapes);

}  // namespace
}  // namespace elastikv
