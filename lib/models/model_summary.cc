#include "models/model_summary.h"

namespace elastikv {

void ModelSummary::take_decoder(const LlamaConfig& config) {
  decoder = config;
  text = config.summary();
  max_positions = config.max_positions;
  vocab_size = config.vocab_size;
  cache_bytes_per_token_fp16 = config.cache_bytes_per_token(/*element_bytes=*/2);
}

}  // namespace elastikv
