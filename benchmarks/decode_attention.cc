#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <ATen/ops/clone.h>

#include "inputs.h"
#include "kernels/attention.h"

namespace elastikv {
namespace {

struct Heads {
  const char* name;
  int64_t query_heads;
  int64_t kv_heads;
  int64_t head_dim = 64;
};

using Kernel = DecodeAttention (*)(const at::Tensor&, const std::vector<DecodeRow>&, double);

// Arguments: rows of the batch, slots of each, MiB of caches that calls go through in turn.
void decode(benchmark::State& state, Kernel kernel, Heads heads, c10::ScalarType dtype,
            bool weights) {
  const int64_t rows = state.range(0);
  const int64_t slots = state.range(1);
  const at::Tensor queries = random_input({rows, heads.query_heads, heads.head_dim}, dtype);
  std::vector<int64_t> starts;
  for (int64_t head = 0; head < heads.kv_heads; ++head) starts.push_back(head * slots);
  const std::vector<int64_t> lengths(static_cast<size_t>(heads.kv_heads), slots);
  const int64_t bytes = 2 * rows * heads.kv_heads * slots * heads.head_dim *
                        static_cast<int64_t>(c10::elementSize(dtype));
  const at::Tensor entries = random_input({heads.kv_heads * slots, heads.head_dim}, dtype);
  std::vector<std::vector<DecodeRow>> layers(arrays_of(state.range(2), bytes));
  for (std::vector<DecodeRow>& layer : layers) {
    layer.resize(static_cast<size_t>(rows));
    for (DecodeRow& row : layer) {
      row.keys = entries.clone();
      row.values = entries.clone();
      row.starts = &starts;
      row.lengths = &lengths;
      row.weights = weights;
    }
  }
  const double scale = 1 / std::sqrt(static_cast<double>(heads.head_dim));
  size_t layer = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(kernel(queries, layers[layer], scale).output.data_ptr());
    layer = (layer + 1) % layers.size();
  }
  set_bytes(state, bytes);
}

void add(Heads heads, c10::ScalarType dtype, bool weights) {
  for (const bool optimized : {true, false}) {
    const std::string name = std::string(optimized ? "optimized/" : "reference/") + heads.name +
                             (dtype == at::kFloat ? "/fp32" : "/bf16") +
                             (weights ? "/with-weights" : "");
    benchmark::RegisterBenchmark(name.c_str(), decode,
                                 optimized ? cpu::decode_attention : reference::decode_attention,
                                 heads, dtype, weights)
        ->ArgNames({"rows", "slots", "MiB"})
        ->Args({1, 512, 0})
        ->Args({1, 4096, 0})
        ->Args({16, 512, 0})
        ->Args({55, 100, 1024})
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  }
}

[[maybe_unused]] const bool kAdded = [] {
  const Heads grouped{"9-over-3-heads", 9, 3};
  const Heads plain{"8-heads", 8, 8};
  const Heads wide{"32-heads-of-128", 32, 32, 128};
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    add(plain, dtype, /*weights=*/false);
    add(wide, dtype, /*weights=*/false);
    add(grouped, dtype, /*weights=*/false);
    add(grouped, dtype, /*weights=*/true);
  }
  return true;
}();

}  // namespace
}  // namespace elastikv
