#include "kernels/chunk_attention.h"

#include <algorithm>
#include <vector>

#include "inputs.h"

namespace elastikv {
namespace {

struct Heads {
  int64_t kv_heads;
  int64_t group;
  int64_t head_dim;
};

using Kernel = at::Tensor (*)(const at::Tensor&, const std::vector<ChunkRow>&, double);

// Arguments: sequences, tokens of the chunk, slots before it. The oldest slots go one by one.
void attend(benchmark::State& state, Kernel kernel, c10::ScalarType dtype, Heads heads) {
  const int64_t tokens = state.range(1);
  const int64_t before = state.range(2);
  const int64_t length = before + tokens;
  std::vector<int64_t> starts;
  for (int64_t head = 0; head < heads.kv_heads; ++head) starts.push_back(head * length);
  const std::vector<int64_t> lengths(heads.kv_heads, length);
  std::vector<ChunkSlots> slots(1);
  for (int64_t i = 0; i < length; ++i) {
    slots[0].first.push_back(static_cast<int32_t>(std::max<int64_t>(0, i - before)));
    slots[0].until.push_back(static_cast<int32_t>(std::min(tokens, i + 1)));
  }
  // Every token sees its own entry.
  for (int64_t t = 0; t < tokens; ++t)
    slots[0].until[static_cast<size_t>(before + t)] = static_cast<int32_t>(tokens);
  std::vector<ChunkRow> rows(static_cast<size_t>(state.range(0)));
  for (ChunkRow& row : rows) {
    row.keys = random_input({heads.kv_heads * length, heads.head_dim}, dtype);
    row.values = random_input({heads.kv_heads * length, heads.head_dim}, dtype);
    row.starts = &starts;
    row.lengths = &lengths;
    row.slots = &slots;
  }
  const at::Tensor queries =
      random_input({state.range(0), tokens, heads.kv_heads * heads.group, heads.head_dim}, dtype);
  for (auto _ : state) benchmark::DoNotOptimize(kernel(queries, rows, 0.125).data_ptr());
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"rows", "tokens", "slots"});
  benchmark->Args({1, 64, 512})->Args({16, 64, 128})->UseRealTime()->Unit(benchmark::kMicrosecond);
}

constexpr Heads kGrouped{3, 3, 64};
constexpr Heads kWide{32, 1, 128};
BENCHMARK_CAPTURE(attend, optimized_fp32, cpu::chunk_attention, at::kFloat, kGrouped)
    ->Apply(shapes);
BENCHMARK_CAPTURE(attend, reference_fp32, reference::chunk_attention, at::kFloat, kGrouped)
    ->Apply(shapes);
BENCHMARK_CAPTURE(attend, optimized_bf16, cpu::chunk_attention, at::kBFloat16, kGrouped)
    ->Apply(shapes);
BENCHMARK_CAPTURE(attend, optimized_bf16_32_heads_of_128, cpu::chunk_attention, at::kBFloat16,
                  kWide)
    ->Apply(shapes);
BENCHMARK_CAPTURE(attend, reference_fp32_32_heads_of_128, reference::chunk_attention, at::kFloat,
                  kWide)
    ->Apply(shapes);

}  // namespace
}  // namespace elastikv
