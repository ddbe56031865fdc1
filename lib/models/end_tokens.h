#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/json_fields.h"

namespace elastikv {

/// The token ids that end a text: generation_config.json's eos_token_id (a number or a list), else
/// config.json's, its text_config's, else none.
std::vector<int64_t> read_end_tokens(const std::filesystem::path& folder, const JsonFields& config);

}  // namespace elastikv
