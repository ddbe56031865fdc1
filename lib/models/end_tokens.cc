#include "models/end_tokens.h"

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "models/config_fields.h"

namespace elastikv {

std::vector<int64_t> read_end_tokens(const std::filesystem::path& folder,
                                     const JsonFields& config) {
  const auto read = [](const JsonFields& fields) {
    std::vector<int64_t> tokens;
    if (!fields.has("eos_token_id")) return tokens;
    if (fields.json()["eos_token_id"].is_array()) {
      tokens = whole_numbers(fields, "eos_token_id");
    } else {
      tokens.push_back(fields.integer("eos_token_id"));
    }
    return tokens;
  };
  std::vector<int64_t> tokens;
  const std::filesystem::path generation = folder / "generation_config.json";
  if (path_exists(generation)) tokens = read(JsonFields::read(generation));
  if (tokens.empty()) tokens = read(config);
  if (tokens.empty() && config.has("text_config")) tokens = read(config.object("text_config"));
  return tokens;
}

}  // namespace elastikv
