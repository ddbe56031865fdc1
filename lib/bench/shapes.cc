#include "bench/shapes.h"

#include "base/error.h"
#include "base/nearest_name.h"
#include "models/registry.h"
#include "strategies/registry.h"
#include "sweep/config_fields.h"

namespace elastikv {
namespace {

constexpr int64_t kLargest = int64_t{1} << 24;

int64_t size_at(const YamlFields& fields, std::string_view key) {
  fields.at(key);  // Error when missing: no size suits every model
  return at_least(fields, key, 1, 1, kLargest);
}

LlamaConfig read_sizes(const YamlFields& fields) {
  fields.require_known_keys({"layers", "hidden_size", "intermediate_size", "query_heads",
                             "kv_heads", "head_dim", "vocab_size", "max_positions", "rope_theta",
                             "attention_bias", "tie_word_embeddings"});
  LlamaConfig shape;
  shape.layers = size_at(fields, "layers");
  shape.hidden_size = size_at(fields, "hidden_size");
  shape.intermediate_size = size_at(fields, "intermediate_size");
  shape.query_heads = size_at(fields, "query_heads");
  shape.kv_heads = at_least(fields, "kv_heads", 1, shape.query_heads, kLargest);
  if (shape.query_heads % shape.kv_heads != 0) {
    fields.at("kv_heads")
        .fail_here(fmt::format("is {}, which does not divide query_heads {}", shape.kv_heads,
                               shape.query_heads));
  }
  shape.head_dim = at_least(fields, "head_dim", 2, shape.hidden_size / shape.query_heads, kLargest);
  if (shape.head_dim % 2 != 0 || shape.head_dim == 0) {
    (fields.has("head_dim") ? fields.at("head_dim") : fields.at("hidden_size"))
        .fail_here(fmt::format("gives heads of {}, an even number is needed", shape.head_dim));
  }
  shape.vocab_size = size_at(fields, "vocab_size");
  shape.max_positions = at_least(fields, "max_positions", 1, 4096, kMostNewTokens);
  shape.rope.theta = fields.number("rope_theta", shape.rope.theta);
  if (!(shape.rope.theta > 0)) {
    fields.at("rope_theta").fail_here(fmt::format("is {}, needs to be above 0", shape.rope.theta));
  }
  shape.qkv_bias = fields.boolean("attention_bias", false);
  shape.output_bias = shape.qkv_bias;
  shape.tie_word_embeddings = fields.boolean("tie_word_embeddings", false);
  return shape;
}

}  // namespace

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
