#pragma once

#include <filesystem>
#include <memory>

#include "text/tokenizer.h"

namespace elastikv {

/// Loads qwen.tiktoken (Qwen, Qwen-VL): lines of a token's bytes in base64 and its rank, which is
/// its id. Behind the ranks come <|endoftext|>, <|im_start|>, <|im_end|>, <|extra_0|> to
/// <|extra_204|>, and Qwen-VL's <ref>, </ref>, <box>, </box>, <quad>, </quad>, <img>, </img> and
/// <imgpad>, all special. Text becomes NFC first. What stands between <img> and </img> is text like
/// any other (Qwen-VL's own code reads it as a path and pads it to 256 ids). Error naming file and
/// line for what is no token, a rank given twice or left out, a byte that no token is.
std::unique_ptr<Tokenizer> load_tiktoken_tokenizer(const std::filesystem::path& file);

}  // namespace elastikv
