#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/json_fields.h"

namespace elastikv {

/// How the weights of a checkpoint are quantised.
struct Quantization {
  std::string method;   ///< "gptq", "awq", "bitsandbytes", "fp8", "compressed-tensors", ...
  std::string details;  ///< "4 bits"; empty where the file does not tell
  std::string where;    ///< "FOLDER/config.json: key 'quantization_config'"

  /// "gptq, 4 bits".
  std::string name() const { return details.empty() ? method : method + ", " + details; }
  /// What to do instead.
  std::string advice() const;
};

/// What config.json says of it, at the top or in one of its parts (text_config), or the file beside
/// it that the method's own tools write (quantize_config.json, quant_config.json,
/// hf_quant_config.json). Nothing for weights that are floating-point numbers.
std::optional<Quantization> find_quantization(const std::filesystem::path& folder,
                                              const JsonFields& config);

/// Error, naming the method and what to do instead, for a checkpoint with quantised weights, which
/// are not computed here. Reads no weights.
void require_unquantized(const std::filesystem::path& folder);

}  // namespace elastikv
