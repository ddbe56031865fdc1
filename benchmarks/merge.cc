#include "kernels/merge.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>

#include "inputs.h"

namespace elastikv {
namespace {

constexpr int64_t kHeads = 3;
constexpr int64_t kHeadDim = 64;

/// A fifth of the slots stays; each of the others joins the anchor before it.
MergeRows fifth_of(int64_t slots) {
  MergeRows rows;
  rows.kept = at::arange(0, slots, 5, at::kLong);
  const at::Tensor all = at::arange(slots, at::kLong);
  const at::Tensor source = all.index({(all.remainder(5) != 0)});
  rows.source = source;
  rows.anchor = source.div(5, "floor");
  return rows;
}

using Kernel = at::Tensor (*)(const at::Tensor&, const MergeRows&);

// Argument: slots before the merge.
void merging(benchmark::State& state, Kernel kernel, c10::ScalarType dtype) {
  const int64_t slots = state.range(0);
  const at::Tensor x = random_input({kHeads, slots, kHeadDim}, dtype);
  const MergeRows rows = fifth_of(slots);
  for (auto _ : state) benchmark::DoNotOptimize(kernel(x, rows).data_ptr());
  set_bytes(state, x.numel() * static_cast<int64_t>(x.element_size()));
}

void gathering(benchmark::State& state, c10::ScalarType dtype) {
  const int64_t slots = state.range(0);
  const at::Tensor x = random_input({kHeads, slots, kHeadDim}, dtype);
  MergeRows rows;
  rows.kept = at::arange(0, slots, 5, at::kLong);
  for (auto _ : state) benchmark::DoNotOptimize(gather_and_merge(x, rows).data_ptr());
  set_bytes(state, x.numel() / 5 * static_cast<int64_t>(x.element_size()));
}

void slots(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("slots")->Arg(1024)->Arg(4096)->UseRealTime();
}

BENCHMARK_CAPTURE(merging, optimized_fp32, gather_and_merge, at::kFloat)->Apply(slots);
BENCHMARK_CAPTURE(merging, reference_fp32, reference::gather_and_merge, at::kFloat)->Apply(slots);
BENCHMARK_CAPTURE(merging, optimized_bf16, gather_and_merge, at::kBFloat16)->Apply(slots);
BENCHMARK_CAPTURE(merging, reference_bf16, reference::gather_and_merge, at::kBFloat16)
    ->Apply(slots);
BENCHMARK_CAPTURE(gathering, fp32, at::kFloat)->Apply(slots);
BENCHMARK_CAPTURE(gathering, bf16, at::kBFloat16)->Apply(slots);

}  // namespace
}  // namespace elastikv
