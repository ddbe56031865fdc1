#include "models/registry.h"

#include <functional>
#include <utility>

#include "base/error.h"
#include "base/json_fields.h"
#include "base/nearest_name.h"
#include "models/idefics3.h"
#include "models/llama.h"
#include "models/llava.h"
#include "models/qwen2_vl.h"

namespace elastikv {
namespace {

/// A decoder without pictures.
class TextModel final : public Model {
 public:
  TextModel(const LlamaConfig& config, const WeightReader& weights)
      : language_(config, weights.scope("model."), weights) {}
  const LanguageModel& language() const override { return language_; }
  int64_t image_token() const override { return -1; }
  at::Tensor encode_image(const ProcessedImage&, const Observer*) const override {
    throw InternalError("a text model was given a picture");
  }

 private:
  Llama language_;
};

struct Architecture {
  std::string name;
  std::function<std::unique_ptr<Model>(const JsonFields&, const WeightReader&)> build;
  std::function<void(const JsonFields&, ModelSummary&)> summarize;
  /// Of a checkpoint folder and its config.json; null for a model without pictures.
  std::function<std::unique_ptr<ImagePrompt>(const JsonFields&, const std::filesystem::path&)>
      image_prompt;
};

void summarize_text(const LlamaConfig& c, ModelSummary& summary) {
  summary.decoder = c;
  summary.text =
      fmt::format("{} layers, hidden {}, {} query and {} KV heads of {}, vocabulary {}", c.layers,
                  c.hidden_size, c.query_heads, c.kv_heads, c.head_dim, c.vocab_size);
  summary.max_positions = c.max_positions;
  summary.vocab_size = c.vocab_size;
  summary.cache_bytes_per_token_fp16 = c.cache_bytes_per_token(/*element_bytes=*/2);
}

std::string vision_text(const ClipVisionConfig& c) {
  return fmt::format("{}, {} layers, hidden {}, {} heads, {} px in patches of {}",
                     c.siglip ? "SigLIP" : "CLIP", c.layers, c.hidden_size, c.heads, c.image_size,
                     c.patch_size);
}

/// A decoder alone; `type` is config.json's model_type where that is missing.
Architecture text_architecture(const char* name, const char* type) {
  return {name,
          [type](const JsonFields& config, const WeightReader& weights) -> std::unique_ptr<Model> {
            return std::make_unique<TextModel>(LlamaConfig::read(config, type), weights);
          },
          [type](const JsonFields& config, ModelSummary& summary) {
            summarize_text(LlamaConfig::read(config, type), summary);
          },
          [](const JsonFields&, const std::filesystem::path&) { return nullptr; }};
}

Architecture llava_architecture(const char* name, LlavaConfig::Family family) {
  return {
      name,
      [family](const JsonFields& config, const WeightReader& weights) -> std::unique_ptr<Model> {
        return std::make_unique<Llava>(LlavaConfig::read(config, family), weights);
      },
      [family](const JsonFields& config, ModelSummary& summary) {
        const LlavaConfig c = LlavaConfig::read(config, family);
        summarize_text(c.text, summary);
        summary.vision = vision_text(c.vision);
        summary.image_token = c.image_token;
      },
      [family](const JsonFields& config, const std::filesystem::path& folder) {
        return make_image_prompt(LlavaConfig::read(config, family), read_processor_config(folder));
      }};
}

Architecture idefics3_architecture(const char* name) {
  return {name,
          [](const JsonFields& config, const WeightReader& weights) -> std::unique_ptr<Model> {
            return std::make_unique<Idefics3>(Idefics3Config::read(config), weights);
          },
          [](const JsonFields& config, ModelSummary& summary) {
            const Idefics3Config c = Idefics3Config::read(config);
            summarize_text(c.text, summary);
            summary.vision = vision_text(c.vision);
            summary.image_token = c.image_token;
          },
          [](const JsonFields& config, const std::filesystem::path& folder) {
            return make_image_prompt(Idefics3Config::read(config), read_processor_config(folder));
          }};
}

Architecture qwen2_vl_architecture(const char* name) {
  return {name,
          [](const JsonFields& config, const WeightReader& weights) -> std::unique_ptr<Model> {
            return std::make_unique<Qwen2Vl>(Qwen2VlConfig::read(config), weights);
          },
          [](const JsonFields& config, ModelSummary& summary) {
            const Qwen2VlConfig c = Qwen2VlConfig::read(config);
            summarize_text(c.text, summary);
            summary.vision = fmt::format(
                "Qwen, {} layers, hidden {}, {} heads, pictures of any size in patches of {}",
                c.vision.layers, c.vision.hidden_size, c.vision.heads, c.vision.patch_size);
            if (c.vision.window_size > 0)
              summary.vision += fmt::format(", windows of {} px", c.vision.window_size);
            summary.image_token = c.image_token;
          },
          [](const JsonFields& config, const std::filesystem::path& folder) {
            return make_image_prompt(Qwen2VlConfig::read(config), folder);
          }};
}

const std::vector<Architecture>& architectures() {
  static const std::vector<Architecture> all{
      text_architecture("LlamaForCausalLM", "llama"),
      text_architecture("MistralForCausalLM", "mistral"),
      text_architecture("Qwen2ForCausalLM", "qwen2"),
      text_architecture("Qwen3ForCausalLM", "qwen3"),
      llava_architecture("LlavaForConditionalGeneration", LlavaConfig::Family::kLlava),
      llava_architecture("LlavaNextForConditionalGeneration", LlavaConfig::Family::kNext),
      llava_architecture("LlavaOnevisionForConditionalGeneration", LlavaConfig::Family::kOnevision),
      idefics3_architecture("Idefics3ForConditionalGeneration"),
      idefics3_architecture("SmolVLMForConditionalGeneration"),
      qwen2_vl_architecture("Qwen2VLForConditionalGeneration"),
      qwen2_vl_architecture("Qwen2_5_VLForConditionalGeneration"),
  };
  return all;
}

JsonFields read_config(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) {
    fail("{}: {}; a checkpoint folder (Hugging Face layout) with a config.json is needed",
         folder.string(), std::filesystem::exists(folder) ? "not a folder" : "no such folder");
  }
  return JsonFields::read(folder / "config.json");
}

const Architecture& find_architecture(const JsonFields& config) {
  const std::vector<std::string> named = config.strings("architectures");
  if (named.empty()) config.fail_key("architectures", "is an empty list");
  for (const Architecture& architecture : architectures()) {
    if (architecture.name == named[0]) return architecture;
  }
  config.fail_key("architectures", fmt::format("names '{}', which is not known{}", named[0],
                                               suggestion(named[0], known_architectures())));
}

/// Asks a checkpoint for every tensor a model needs without reading any.
WeightReader dry_run(const Architecture& architecture, const JsonFields& config,
                     const Checkpoint& checkpoint) {
  WeightReader reader(checkpoint, c10::Device(c10::DeviceType::CPU), c10::ScalarType::Float,
                      WeightReader::Mode::kDry);
  architecture.build(config, reader);
  return reader;
}

}  // namespace

std::vector<std::string> known_architectures() {
  std::vector<std::string> names;
  for (const Architecture& architecture : architectures()) names.push_back(architecture.name);
  return names;
}

ModelSummary summarize_model(const std::filesystem::path& folder) {
  const JsonFields config = read_config(folder);
  const Architecture& architecture = find_architecture(config);
  ModelSummary summary;
  summary.architecture = architecture.name;
  architecture.summarize(config, summary);
  return summary;
}

std::unique_ptr<ImagePrompt> read_image_prompt(const std::filesystem::path& folder) {
  const JsonFields config = read_config(folder);
  return find_architecture(config).image_prompt(config, folder);
}

std::unique_ptr<Model> load_model(const std::filesystem::path& folder, c10::Device device,
                                  c10::ScalarType dtype) {
  const JsonFields config = read_config(folder);
  const Architecture& architecture = find_architecture(config);
  // What is missing is said before anything large is read.
  const Checkpoint checkpoint = Checkpoint::open(folder);
  dry_run(architecture, config, checkpoint).finish();
  const WeightReader reader(checkpoint, device, dtype);
  std::unique_ptr<Model> model = architecture.build(config, reader);
  reader.finish();
  return model;
}

WeightReport check_weights(const std::filesystem::path& folder) {
  const JsonFields config = read_config(folder);
  return dry_run(find_architecture(config), config, Checkpoint::open(folder)).report();
}

void require_loadable(const std::filesystem::path& folder) {
  const JsonFields config = read_config(folder);
  dry_run(find_architecture(config), config, Checkpoint::open(folder)).finish();
}

}  // namespace elastikv
