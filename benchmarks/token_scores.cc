#include "kernels/token_scores.h"

#include "inputs.h"

namespace elastikv {
namespace {

using Kernel = TokenScores (*)(const at::Tensor&, int64_t);

// Argument: rows of logits over SmolLM2's vocabulary.
void scores(benchmark::State& state, Kernel kernel) {
  const at::Tensor logits = random_input({state.range(0), 49152});
  for (auto _ : state) benchmark::DoNotOptimize(kernel(logits, /*target=*/17).nll.data());
  set_bytes(state, logits.numel() * static_cast<int64_t>(sizeof(float)));
}

BENCHMARK_CAPTURE(scores, optimized, cpu::score_token)->Arg(1)->Arg(16)->UseRealTime();
BENCHMARK_CAPTURE(scores, reference, reference::score_token)->Arg(1)->Arg(16)->UseRealTime();

}  // namespace
}  // namespace elastikv
