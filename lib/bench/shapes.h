#pragma once

#include <filesystem>

#include "base/keys_fwd.h"
#include "base/yaml_fields.h"
#include "models/llama/config.h"

namespace elastikv {

/// The file of the named shapes: $ELASTIKV_CONFIGS/bench/shapes.yaml, else the source tree's.
std::filesystem::path shapes_file();

/// The sizes of a decoder, as a benchmark or shapes_file() writes them.
const Keys<LlamaConfig>& shape_keys();

/// A decoder's shape as a benchmark names it: a name of shapes_file(), or a mapping of
/// shape_keys(). Error naming file, line and key for anything else.
LlamaConfig read_shape(const YamlFields& node);

/// The decoder of a checkpoint folder. Error for an architecture that has none of LLaMA's kind.
LlamaConfig decoder_of(const std::filesystem::path& folder);

}  // namespace elastikv
