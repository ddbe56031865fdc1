#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "strategies/component.h"

namespace elastikv {

/// Compresses a cache again every few tokens, layer by layer and, where heads differ, head by head:
/// as if its entries in order of position were a prompt. The attention rows of generated tokens are
/// kept for as long as the strategy's importance looks back, and added to the prompt's accumulated
/// attention when it reads that.
class Recompression final : public GenerationPolicy {
 public:
  Recompression(GenerationStart start, int64_t every);

  std::vector<StepPlan> step(const DecodeStep& step) override;
  int64_t overshoot() const override { return every_; }
  std::unique_ptr<GenerationPolicy> go_on(const Budget& budget) const override;

 private:
  /// What is remembered of a layer's attention, in the cache's storage order.
  struct Memory {
    at::Tensor sums;               // f32 [query_heads, slots], or undefined
    std::vector<at::Tensor> rows;  // the last ones, each f32 [query_heads, slots at its time]
  };

  void remember(const DecodeStep& step);
  /// Moves a layer's memory along with a plan in slots.
  void follow(Memory& memory, const LayerPlan& plan) const;
  LayerPlan compress(const KVCache& cache, int64_t layer, int64_t tokens_seen) const;
  /// One set of slots as a prompt: entries in order of position.
  PromptStatistics statistics(const KVCache& cache, int64_t layer, int64_t group,
                              const std::vector<int64_t>& slots) const;

  GenerationStart start_;
  int64_t every_;
  StatisticsRequest needs_;
  std::vector<Memory> memories_;  // per layer
};

}  // namespace elastikv
