#include "kernels/merge.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/index_select.h>

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

// Argument: slots before the merge.
void merging(benchmark::State& state, c10::ScalarType dtype) {
  const int64_t slots = state.range(0);
  const at::Tensor x = random_input({kHeads, slots, kHeadDim}, dtype);
  const MergeRows rows = fifth_of(slots);
  for (auto _ : state) benchmark::DoNotOptimize(gather_and_merge(x, rows).data_ptr());
  set_bytes(state, x.numel() * static_cast<int64_t>(x.element_size()));
}

/// The same sums by ATen's index_add_, in fp32.
void reference_merging(benchmark::State& state, c10::ScalarType dtype) {
  const int64_t slots = state.range(0);
  const at::Tensor x = random_input({kHeads, slots, kHeadDim}, dtype);
  const MergeRows rows = fifth_of(slots);
  for (auto _ : state) {
    at::Tensor sums = at::index_select(x, 1, rows.kept).to(at::kFloat);
    at::Tensor counts = at::empty({rows.kept.numel()}, at::TensorOptions(at::kFloat)).fill_(1);
    sums.index_add_(1, rows.anchor, at::index_select(x, 1, rows.source).to(at::kFloat));
    counts.index_add_(0, rows.anchor,
                      at::empty({rows.source.numel()}, at::TensorOptions(at::kFloat)).fill_(1));
    benchmark::DoNotOptimize(sums.div_(counts.unsqueeze(-1)).to(dtype).data_ptr());
  }
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

BENCHMARK_CAPTURE(merging, optimized_fp32, at::kFloat)->Arg(1024)->Arg(4096)->UseRealTime();
BENCHMARK_CAPTURE(merging, optimized_bf16, at::kBFloat16)->Arg(1024)->Arg(4096)->UseRealTime();
BENCHMARK_CAPTURE(reference_merging, fp32, at::kFloat)->Arg(1024)->Arg(4096)->UseRealTime();
BENCHMARK_CAPTURE(reference_merging, bf16, at::kBFloat16)->Arg(1024)->Arg(4096)->UseRealTime();
BENCHMARK_CAPTURE(gathering, fp32, at::kFloat)->Arg(1024)->Arg(4096)->UseRealTime();
BENCHMARK_CAPTURE(gathering, bf16, at::kBFloat16)->Arg(1024)->Arg(4096)->UseRealTime();

}  // namespace
}  // namespace elastikv
