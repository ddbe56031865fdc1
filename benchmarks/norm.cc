#include "kernels/norm.h"

#include "inputs.h"

namespace elastikv {
namespace {

using Kernel = at::Tensor (*)(const at::Tensor&, const at::Tensor&, double);

// Arguments: rows, size.
void norm(benchmark::State& state, Kernel kernel, c10::ScalarType dtype) {
  const at::Tensor x = random_input({state.range(0), state.range(1)}, dtype);
  const at::Tensor weight = random_input({state.range(1)}, dtype);
  for (auto _ : state) benchmark::DoNotOptimize(kernel(x, weight, 1e-5).data_ptr());
  set_bytes(state, 2 * x.numel() * static_cast<int64_t>(x.element_size()));
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"rows", "size"})->Args({1, 576})->Args({16, 576})->Args({512, 576});
  benchmark->UseRealTime();
}

// What is chosen for the dtype, which may be the reference itself.
BENCHMARK_CAPTURE(norm, optimized_fp32, rms_norm, at::kFloat)->Apply(shapes);
BENCHMARK_CAPTURE(norm, reference_fp32, reference::rms_norm, at::kFloat)->Apply(shapes);
BENCHMARK_CAPTURE(norm, optimized_bf16, rms_norm, at::kBFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(norm, reference_bf16, reference::rms_norm, at::kBFloat16)->Apply(shapes);

}  // namespace
}  // namespace elastikv
