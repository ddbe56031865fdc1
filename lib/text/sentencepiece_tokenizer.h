#pragma once

#include <filesystem>
#include <memory>

#include "text/tokenizer.h"

namespace elastikv {

/// Loads the tokenizer.model of a folder (LLaMA, Vicuna), with the added tokens of the files beside
/// it, as transformers' LlamaTokenizer (the one in Python, releases before 5) encodes and decodes;
/// tokenizer_config.json's "legacy" (true unless given) chooses between its two behaviours. Error
/// naming the file for a model that is no byte-pair model or a tokenizer_class that is another.
std::unique_ptr<Tokenizer> load_sentencepiece_tokenizer(const std::filesystem::path& folder);

}  // namespace elastikv
