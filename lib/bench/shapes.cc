#include "bench/shapes.h"

#include <cstdint>

#include <fmt/format.h>

#include "base/keys.h"
#include "base/nearest_name.h"
#include "models/registry.h"
#include "strategies/registry.h"
#include "sweep/shared_keys.h"

namespace elastikv {
namespace {

constexpr int64_t kLargest = int64_t{1} << 24;

/// A size without a default: none suits every model.
void add_size(Keys<LlamaConfig>& keys, const char* name, int64_t LlamaConfig::*size,
              const char* help) {
  keys.add(name, size, integer_form(1, kLargest), help, {.required = true});
}

LlamaConfig read_sizes(const YamlFields& fields) {
  LlamaConfig shape;
  shape_keys().read(fields, shape);
  if (shape.query_heads % shape.kv_heads != 0) {
    fields.at("kv_heads")
        .fail_here(fmt::format("is {}, which does not divide query_heads {}", shape.kv_heads,
                               shape.query_heads));
  }
  if (shape.head_dim % 2 != 0 || shape.head_dim == 0) {
    (fields.has("head_dim") ? fields.at("head_dim") : fields.at("hidden_size"))
        .fail_here(fmt::format("gives heads of {}, an even number is needed", shape.head_dim));
  }
  shape.output_bias = shape.qkv_bias;
  return shape;
}

}  // namespace

const Keys<LlamaConfig>& shape_keys() {
  static const Keys<LlamaConfig> keys([](Keys<LlamaConfig>& keys) {
    add_size(keys, "layers", &LlamaConfig::layers, "Blocks of the decoder.");
    add_size(keys, "hidden_size", &LlamaConfig::hidden_size, "Width of the residual stream.");
    add_size(keys, "intermediate_size", &LlamaConfig::intermediate_size, "Width of the MLP.");
    add_size(keys, "query_heads", &LlamaConfig::query_heads, "Heads of the attention.");
    keys.add("kv_heads", &LlamaConfig::kv_heads, integer_form(1, kLargest),
             "Heads of keys and values.", {.otherwise = "`query_heads`"},
             [](const YamlFields&, LlamaConfig& shape) { shape.kv_heads = shape.query_heads; });
    keys.add("head_dim", &LlamaConfig::head_dim, integer_form(2, kLargest),
             "Width of a head, an even number.", {.otherwise = "`hidden_size / query_heads`"},
             [](const YamlFields&, LlamaConfig& shape) {
               shape.head_dim = shape.hidden_size / shape.query_heads;
             });
    add_size(keys, "vocab_size", &LlamaConfig::vocab_size, "Rows of the embedding.");
    keys.add("max_positions", &LlamaConfig::max_positions, integer_form(1, kMostNewTokens),
             "The longest context.", {.otherwise = "`4096`"},
             [](const YamlFields&, LlamaConfig& shape) { shape.max_positions = 4096; });
    keys.add("rope_theta", [](auto& shape) -> auto& { return shape.rope.theta; }, positive_form(),
             "Base of the rotary embedding.", {.otherwise = "`10000`"});
    keys.add("attention_bias", &LlamaConfig::qkv_bias, boolean_form(),
             "Whether the attention's products have a bias.");
    keys.add("tie_word_embeddings", &LlamaConfig::tie_word_embeddings, boolean_form(),
             "Whether the last product takes the embedding's weights.");
  });
  return keys;
}

std::filesystem::path shapes_file() {
  return preset_folder().parent_path() / "bench" / "shapes.yaml";
}

LlamaConfig read_shape(const YamlFields& node) {
  if (node.is_map()) return read_sizes(node);
  const std::string name = node.as_string();
  const YamlFields shapes = YamlFields::read(shapes_file());
  if (!shapes.has(name)) {
    node.fail_here(
        fmt::format("names the unknown shape '{}'{}", name, suggestion(name, shapes.keys())));
  }
  return read_sizes(shapes.at(name));
}

LlamaConfig decoder_of(const std::filesystem::path& folder) {
  return summarize_model(folder).decoder;
}

}  // namespace elastikv
