#pragma once

#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace elastikv {

/// Parses JSON whose object keys name tensors. Stricter than parse_json: a key that an object holds
/// twice is an Error (otherwise the last one would silently win), and so is nesting below
/// `max_depth` levels, which no such file needs and which would cost memory out of proportion.
/// `origin` begins every message, for example "model.safetensors: header".
nlohmann::json parse_strict_json(std::string_view text, std::string_view origin, int max_depth);

}  // namespace elastikv
