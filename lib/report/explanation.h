#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "strategies/strategy.h"

namespace elastikv {

/// Sources that a strategy merges into one entry that stays.
struct MergedGroup {
  int64_t anchor = 0;                ///< position of the entry they join
  std::vector<int64_t> sources;      ///< their positions
  std::vector<float> source_weight;  ///< one per source; 1 unless the strategy weighs
  float anchor_weight = 1;
};

/// What a strategy decides about the prompt's entries of one KV head.
struct HeadDecision {
  std::vector<int64_t> kept;  ///< positions in storage order; released code may repeat some
  std::vector<MergedGroup> groups;
  /// Share of the attention that the whole prompt paid to its entries (the head's column sums) that
  /// lies on those not kept. Merged entries count as lost: what became of them is not in the
  /// number.
  double attention_lost = 0;
};

struct LayerDecision {
  int64_t layer = 0;
  std::vector<HeadDecision> heads;  ///< [kv_heads]
  bool shared = false;              ///< all heads keep and merge the same
  double attention_lost = 0;        ///< of all heads together
  at::Tensor importance;  ///< f32 [G, prompt_tokens], larger is kept; undefined without a ranking
};

/// What a strategy makes of one prompt.
struct Explanation {
  std::string name;
  std::string description;    ///< Strategy::description
  int64_t requested = 0;      ///< entries per layer and head that the budget allows
  int64_t tokens = 0;         ///< entries kept, over the layers and KV heads that are explained
  double attention_lost = 0;  ///< mean over these layers
  std::vector<LayerDecision> layers;

  /// Bytes of the kept keys and values.
  int64_t bytes(int64_t head_dim, int64_t element_bytes) const {
    return tokens * head_dim * 2 * element_bytes;
  }
};

/// Asks a strategy about a prompt whose statistics hold column sums beside what it needs; `layers`
/// are the ones to explain, ascending.
Explanation explain(const std::string& name, const Strategy& strategy,
                    const PromptStatistics& prompt, const Budget& budget,
                    const std::vector<int64_t>& layers);

/// How alike the kept entries of strategies are: Jaccard indices (size of the intersection by size
/// of the union) of the sets of (KV head, position), f64 values [strategies][strategies], in layer
/// number `index` of the explained ones.
std::vector<std::vector<double>> kept_agreement(const std::vector<Explanation>& explanations,
                                                size_t index);
/// The mean of that over the explained layers.
std::vector<std::vector<double>> kept_agreement(const std::vector<Explanation>& explanations);

}  // namespace elastikv
