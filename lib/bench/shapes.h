#pragma once

#include <filesystem>

#include "base/yaml_fields.h"
#include "models/llama/config.h"

namespace elastikv {

/// The file of the named shapes: $ELASTIKV_CONFIGS/bench/shapes.yaml, else the source tree's.
std::filesystem::path shapes_file();

/// A decoder's shape as a benchmark names it: a name of shapes_file(), or a mapping of layers,
/// hidden_size, intermediate_size, query_heads, kv_heads, vocab_size, and if they differ from the
/// usual, head_dim, max_positions, rope_theta, attention_bias and tie_word_embeddings. Error naming
/// file, line and key for anything else.
LlamaConfig read_shape(const YamlFields& node);

/// The decoder of a checkpoint folder. Error for an architecture that has none of LLaMA's kind.
LlamaConfig decoder_of(const std::filesystem::path& folder);

}  // namespace elastikv
