#pragma once

#include <filesystem>

#include <nlohmann/json_fwd.hpp>

namespace elastikv {

/// The tokenizer.json that transformers would make of a folder's vocab.json, merges.txt and
/// tokenizer_config.json (its tokenizer_class: Qwen2Tokenizer or GPT2Tokenizer). Error naming the
/// file and the key or line for another class or a malformed entry.
nlohmann::json read_byte_level_files(const std::filesystem::path& folder);

/// The parts of Qwen's tokenizers as a tokenizer.json has them: how text is cut, and how bytes are
/// spelled.
nlohmann::json qwen_pre_tokenizer();

}  // namespace elastikv
