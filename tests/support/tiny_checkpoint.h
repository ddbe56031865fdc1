#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "models/registry.h"
#include "support/paths.h"
#include "support/temporary_folder.h"
#include "text/byte_level.h"

/// A safetensors file of F32 tensors as its bytes, so that tests can damage any part of it.
class CraftedTensors {
 public:
  struct Tensor {
    std::vector<int64_t> shape;
    std::vector<float> values;
  };
  std::map<std::string, Tensor> tensors;

  /// The header's JSON: tensors one after the other in the order of their names.
  nlohmann::json header() const {
    nlohmann::json header = nlohmann::json::object();
    size_t offset = 0;
    for (const auto& [name, tensor] : tensors) {
      const size_t bytes = tensor.values.size() * sizeof(float);
      header[name] = {
          {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + bytes}}};
      offset += bytes;
    }
    return header;
  }

  std::string bytes() const { return bytes(header()); }
  std::string bytes(const nlohmann::json& header) const {
    const std::string text = header.dump();
    const uint64_t length = text.size();
    std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
    bytes += text;
    for (const auto& [name, tensor] : tensors) {
      bytes.append(reinterpret_cast<const char*>(tensor.values.data()),
                   tensor.values.size() * sizeof(float));
    }
    return bytes;
  }
};

/// What a small LLaVA (or with `images` off, LLaMA) checkpoint says of itself: 2 layers, grouped
/// queries, one token per byte, 9 tokens per image.
inline nlohmann::json tiny_config(bool images = true) {
  nlohmann::json text{{"architectures", {"LlamaForCausalLM"}},
                      {"model_type", "llama"},
                      {"vocab_size", 260},
                      {"hidden_size", 32},
                      {"intermediate_size", 64},
                      {"num_hidden_layers", 2},
                      {"num_attention_heads", 4},
                      {"num_key_value_heads", 2},
                      {"head_dim", 8},
                      {"max_position_embeddings", 512},
                      {"eos_token_id", 258}};
  if (!images) return text;
  return {{"architectures", {"LlavaForConditionalGeneration"}},
          {"model_type", "llava"},
          {"image_token_index", 259},
          {"vision_feature_layer", -1},
          {"text_config", std::move(text)},
          {"vision_config",
           {{"model_type", "clip_vision_model"},
            {"hidden_size", 16},
            {"intermediate_size", 32},
            {"num_hidden_layers", 2},
            {"num_attention_heads", 2},
            {"image_size", 24},
            {"patch_size", 8}}}};
}

/// Byte-level BPE without merges: tokens 0 to 255 are the bytes, then the specials.
inline nlohmann::json tiny_tokenizer() {
  nlohmann::json vocabulary = nlohmann::json::object();
  for (int byte = 0; byte < 256; ++byte)
    vocabulary[elastikv::bytes_to_letters(std::string(1, static_cast<char>(byte)))] = byte;
  nlohmann::json added = nlohmann::json::array();
  int64_t id = 256;
  for (const char* special : {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"}) {
    added.push_back({{"id", id++},
                     {"content", special},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const nlohmann::json byte_level{{"type", "ByteLevel"},
                                  {"add_prefix_space", false},
                                  {"trim_offsets", true},
                                  {"use_regex", true}};
  return {{"version", "1.0"},
          {"added_tokens", added},
          {"pre_tokenizer", byte_level},
          {"decoder", byte_level},
          {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", nlohmann::json::array()}}}};
}

/// Writes a whole checkpoint folder NAME of random weights that depend on nothing and returns the
/// tensors; they are found by asking which ones `config` needs.
inline CraftedTensors write_checkpoint(const TemporaryFolder& folder, const std::string& name,
                                       const nlohmann::json& config) {
  const std::filesystem::path path =
      folder.write(name + "/config.json", config.dump()).parent_path();
  const bool images = config.contains("vision_config");
  folder.write(name + "/tokenizer.json", tiny_tokenizer().dump());
  const std::filesystem::path stampvlm = source_path("models/stampvlm");
  const auto overwrite = std::filesystem::copy_options::overwrite_existing;
  std::filesystem::copy_file(stampvlm / "chat_template.jinja", path / "chat_template.jinja",
                             overwrite);
  if (images) {
    folder.write(name + "/preprocessor_config.json",
                 R"({"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 24},
                     "crop_size": {"height": 24, "width": 24}})");
  }
  CraftedTensors weights;
  folder.write(name + "/model.safetensors", weights.bytes());
  std::mt19937_64 generator(17);
  // Normal variates of our own: std::normal_distribution may differ between libraries.
  const auto uniform = [&] { return (static_cast<double>(generator() >> 11) + 0.5) / 0x1p53; };
  for (const auto& missing : elastikv::check_weights(path).missing) {
    const bool norm = missing.name.find("norm") != std::string::npos;
    int64_t elements = 1;
    for (const int64_t size : missing.needed) elements *= size;
    CraftedTensors::Tensor& tensor = weights.tensors[missing.name];
    tensor.shape = missing.needed;
    for (int64_t i = 0; i < elements; ++i) {
      const double normal =
          std::sqrt(-2 * std::log(uniform())) * std::cos(2 * 3.14159265358979 * uniform());
      tensor.values.push_back(static_cast<float>(norm ? 1 + 0.1 * normal : 0.3 * normal));
    }
  }
  folder.write(name + "/model.safetensors", weights.bytes());
  return weights;
}

inline CraftedTensors write_tiny_checkpoint(const TemporaryFolder& folder, const std::string& name,
                                            bool images = true) {
  return write_checkpoint(folder, name, tiny_config(images));
}
