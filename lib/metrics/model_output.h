#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace elastikv {

/// What a model gave for one sample in one cell: all that metrics look at.
struct ModelOutput {
  double nll_sum = 0;           // nats, over the scored tokens of the expected answer
  int64_t scored_tokens = 0;    // 0 when perplexity is off
  std::vector<float> nll = {};  // nats, [scored_tokens]

  /// Prompt tokens that were compressed where others came after that: then the answer's first token
  /// comes from the compressed cache, too. 0: all were, and its first token comes from what it was
  /// before.
  int64_t compressed_tokens = 0;

  std::vector<int64_t> token_ids = {};  // generated, without the end token
  std::string text = {};                // of token_ids, special tokens skipped

  /// Mean over the scored answer tokens behind the first of KL(full || cell) in nats, and the first
  /// with `compressed_tokens`; unset for the full cache itself, when agreement is off, and for an
  /// answer with one scored token whose distribution comes from the uncompressed prompt.
  std::optional<double> mean_kl = {};
};

}  // namespace elastikv
