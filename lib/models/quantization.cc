#include "models/quantization.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <initializer_list>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

/// The first of the keys that is there; null if none is.
const Json& first_of(const Json& object, std::initializer_list<const char*> keys) {
  static const Json kNothing;
  for (const char* key : keys) {
    const auto found = object.find(key);
    if (found != object.end() && !found->is_null()) return *found;
  }
  return kNothing;
}

bool is_true(const Json& object, const char* key) {
  const Json& value = first_of(object, {key});
  return value.is_boolean() && value.get<bool>();
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// Bits of a weight; 0 where the section does not say so.
int64_t bits_of(const Json& section) {
  const Json& bits =
      first_of(section, {"bits", "w_bit", "num_bits", "wbits", "weight_bits", "nbits"});
  if (bits.is_number_integer()) return bits.get<int64_t>();
  if (is_true(section, "load_in_4bit")) return 4;
  if (is_true(section, "load_in_8bit")) return 8;
  // compressed-tensors: a group of layers and how its weights are held.
  const Json& groups = first_of(section, {"config_groups"});
  if (groups.is_object()) {
    for (const auto& group : groups) {
      if (!group.is_object()) continue;
      const Json& weights = first_of(group, {"weights"});
      if (weights.is_object() && bits_of(weights) > 0) return bits_of(weights);
    }
  }
  return 0;
}

/// What a section says; nothing where it only says that nothing is quantised.
std::optional<Quantization> read_section(const Json& section, const std::string& method,
                                         std::string where) {
  if (!section.is_object()) return std::nullopt;
  const Json& named = first_of(section, {"quant_method", "quant_algo", "quant_type"});
  // bitsandbytes' older files name no method, and may say that it is off.
  const bool says_load = section.contains("load_in_4bit") || section.contains("load_in_8bit");
  const bool loads = is_true(section, "load_in_4bit") || is_true(section, "load_in_8bit");
  Quantization found;
  if (named.is_string()) {
    found.method = lower(named.get<std::string>());
  } else if (says_load) {
    found.method = "bitsandbytes";
  } else {
    found.method = method;
  }
  if (says_load && !loads && found.method.starts_with("bitsandbytes")) return std::nullopt;
  if (const int64_t bits = bits_of(section); bits > 0) found.details = fmt::format("{} bits", bits);
  found.where = std::move(where);
  return found;
}

std::optional<Quantization> read_config(const JsonFields& config, const std::string& prefix) {
  for (const auto& [key, method] :
       {std::pair{"quantization_config", "a method without a name"},
        std::pair{"compression_config", "compressed-tensors"}, std::pair{"quantization", "mlx"}}) {
    if (!config.has(key)) continue;
    auto found = read_section(config.json()[key], method,
                              fmt::format("{}: key '{}{}'", config.origin(), prefix, key));
    if (found) return found;
  }
  return std::nullopt;
}

}  // namespace

std::string Quantization::advice() const {
  std::string advice = "use the checkpoint in fp32, bf16 or fp16 that it was made from";
  if (method.starts_with("bitsandbytes"))
    advice += ", or load it in transformers, call dequantize() and save_pretrained()";
  return advice;
}

std::optional<Quantization> find_quantization(const std::filesystem::path& folder,
                                              const JsonFields& config) {
  if (auto found = read_config(config, "")) return found;
  for (const std::string& key : config.keys()) {
    if (!config.json()[key].is_object()) continue;
    if (auto found = read_config(config.object(key), key + ".")) return found;
  }
  for (const auto& [name, method] :
       {std::pair{"quantize_config.json", "gptq"}, std::pair{"quant_config.json", "awq"},
        std::pair{"hf_quant_config.json", "modelopt"}}) {
    const std::filesystem::path file = folder / name;
    if (!path_exists(file)) continue;
    const JsonFields fields = JsonFields::read(file);
    const Json& inner = first_of(fields.json(), {"quantization"});
    if (auto found = read_section(inner.is_object() ? inner : fields.json(), method, file.string()))
      return found;
  }
  return std::nullopt;
}

void require_unquantized(const std::filesystem::path& folder) {
  const std::filesystem::path config = folder / "config.json";
  std::error_code unreadable;
  // What is missing altogether is said by whoever reads it next.
  if (!std::filesystem::exists(config, unreadable)) return;
  const auto found = find_quantization(folder, JsonFields::read(config));
  if (found) {
    fail("{}: the weights are quantised ({}), which is not computed here; {}", found->where,
         found->name(), found->advice());
  }
}

}  // namespace elastikv
