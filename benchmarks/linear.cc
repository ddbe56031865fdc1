#include "kernels/linear.h"

#include <cstddef>
#include <vector>

#include <ATen/ops/clone.h>
#include <ATen/ops/linear.h>

#include "inputs.h"

namespace elastikv {
namespace {

// Arguments: rows of x, out and in features, MiB of weights that calls go through in turn. Bytes
// are those of one weight, which a step reads once.

/// `make(weight)` gives what multiplies x by a weight of its own.
template <typename Make>
void multiply(benchmark::State& state, c10::ScalarType dtype, const Make& make) {
  const at::Tensor weight = random_input({state.range(1), state.range(2)}, dtype);
  const at::Tensor x = random_input({state.range(0), state.range(2)}, dtype);
  const int64_t bytes = weight.numel() * static_cast<int64_t>(weight.element_size());
  std::vector<decltype(make(weight))> layers;
  const size_t count = arrays_of(state.range(3), bytes);
  layers.reserve(count);
  while (layers.size() < count) layers.push_back(make(weight));
  size_t layer = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(layers[layer](x).data_ptr());
    layer = (layer + 1) % layers.size();
  }
  set_bytes(state, bytes);
}

void optimized(benchmark::State& state, c10::ScalarType dtype) {
  multiply(state, dtype, [](const at::Tensor& weight) { return Linear(weight, at::Tensor()); });
}

/// ATen's linear over the weight as it lies in the file.
void reference(benchmark::State& state, c10::ScalarType dtype) {
  multiply(state, dtype, [](const at::Tensor& weight) {
    return [own = weight.clone()](const at::Tensor& x) { return at::linear(x, own); };
  });
}

// SmolLM2-135M's gate and up projections and its head; a projection of LLaVA-1.5 7B with as many
// rows as sweeps have cells, and with a prompt's.
void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"rows", "out", "in", "MiB"});
  for (const int64_t rows : {1, 16, 512}) benchmark->Args({rows, 3072, 576, 0});
  benchmark->Args({1, 49152, 576, 0})->Args({16, 49152, 576, 0});
  for (const int64_t rows : {1, 8, 19, 36, 55}) benchmark->Args({rows, 11008, 4096, 1536});
  for (const int64_t rows : {626, 2628}) benchmark->Args({rows, 11008, 4096, 0});
  benchmark->UseRealTime()->Unit(benchmark::kMicrosecond);
}

BENCHMARK_CAPTURE(optimized, fp32, at::kFloat)->Apply(shapes);
BENCHMARK_CAPTURE(reference, fp32, at::kFloat)->Apply(shapes);
BENCHMARK_CAPTURE(optimized, bf16, at::kBFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(reference, bf16, at::kBFloat16)->Apply(shapes);

}  // namespace
}  // namespace elastikv
