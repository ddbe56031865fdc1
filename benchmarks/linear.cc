#include "kernels/linear.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

#include <ATen/ops/clone.h>
#include <ATen/ops/linear.h>

#include "inputs.h"

namespace elastikv {
namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;

// Arguments: rows of x, out and in features, MiB of weights that calls go through in turn, as a
// model's layers are: more than the last cache holds. Bytes are those of one weight, which a step
// reads once.
template <typename Multiply>
void rotate(benchmark::State& state, c10::ScalarType dtype, const std::vector<Multiply>& layers) {
  const at::Tensor x = random_input({state.range(0), state.range(2)}, dtype);
  size_t layer = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(layers[layer](x).data_ptr());
    layer = (layer + 1) % layers.size();
  }
  set_bytes(state, state.range(1) * state.range(2) * static_cast<int64_t>(c10::elementSize(dtype)));
}

int64_t layer_count(const benchmark::State& state, c10::ScalarType dtype) {
  const int64_t bytes =
      state.range(1) * state.range(2) * static_cast<int64_t>(c10::elementSize(dtype));
  return std::max<int64_t>((state.range(3) * kMebibyte + bytes - 1) / bytes, 1);
}

void optimized(benchmark::State& state, c10::ScalarType dtype) {
  const at::Tensor weight = random_input({state.range(1), state.range(2)}, dtype);
  std::vector<Linear> layers;
  for (int64_t i = 0; i < layer_count(state, dtype); ++i) layers.emplace_back(weight, at::Tensor());
  rotate(state, dtype, layers);
}

/// ATen's linear over the weight as it lies in the file.
void reference(benchmark::State& state, c10::ScalarType dtype) {
  const at::Tensor weight = random_input({state.range(1), state.range(2)}, dtype);
  std::vector<std::function<at::Tensor(const at::Tensor&)>> layers;
  for (int64_t i = 0; i < layer_count(state, dtype); ++i) {
    layers.emplace_back([own = weight.clone()](const at::Tensor& x) { return at::linear(x, own); });
  }
  rotate(state, dtype, layers);
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
