#include <cmath>
#include <string>

#include "inputs.h"
#include "kernels/attention.h"

namespace elastikv {
namespace {

// SmolLM2-135M's heads. Argument: tokens.
constexpr int64_t kQueryHeads = 9;
constexpr int64_t kKvHeads = 3;
constexpr int64_t kHeadDim = 64;

using Kernel = PrefillAttention (*)(const at::Tensor&, const at::Tensor&, const at::Tensor&, double,
                                    const PrefillRequest&);

void prefill(benchmark::State& state, Kernel kernel, c10::ScalarType dtype,
             const PrefillRequest& request) {
  const int64_t tokens = state.range(0);
  const at::Tensor queries = random_input({kQueryHeads, tokens, kHeadDim}, dtype);
  const at::Tensor keys = random_input({kKvHeads, tokens, kHeadDim}, dtype);
  const double scale = 1 / std::sqrt(static_cast<double>(kHeadDim));
  for (auto _ : state)
    benchmark::DoNotOptimize(kernel(queries, keys, keys, scale, request).output.data_ptr());
  state.SetItemsProcessed(state.iterations() * tokens);
}

void add(const char* what, const PrefillRequest& request) {
  const auto name = [&](const char* kernel, const char* dtype) {
    return std::string(kernel) + "/" + what + "/" + dtype;
  };
  benchmark::RegisterBenchmark(name("optimized", "fp32").c_str(), prefill, prefill_attention,
                               at::kFloat, request)
      ->Arg(512)
      ->Arg(1024)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark(name("optimized", "bf16").c_str(), prefill, prefill_attention,
                               at::kBFloat16, request)
      ->Arg(1024)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark(name("reference", "fp32").c_str(), prefill,
                               reference::prefill_attention, at::kFloat, request)
      ->Arg(512)
      ->Arg(1024)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

[[maybe_unused]] const bool kAdded = [] {
  add("output-only", {});
  PrefillRequest request;
  request.column_sums = true;
  add("column-sums", request);
  request = {};
  request.column_max = true;
  add("column-max", request);
  request = {};
  request.row_entropy = true;
  add("row-entropy", request);
  request = {};
  request.decays = {0.9};
  add("moving-average", request);
  request = {};
  request.last_rows = 32;
  add("last-32-rows", request);
  return true;
}();

}  // namespace
}  // namespace elastikv
