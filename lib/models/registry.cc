#include "models/registry.h"

#include <functional>
#include <utility>

#include "base/error.h"
#include "base/json_fields.h"
#include "base/nearest_name.h"
#include "models/llama.h"
#include "models/llava.h"

namespace elastikv {
namespace {

/// A decoder without pictures.
class TextModel final : public Model {
 public:
  TextModel(const LlamaConfig& config, const WeightReader& weights)
      : language_(config, weights.scope("model."), weights) {}
  const LanguageModel& language() const override { return language_; }
  int64_t image_token() const override { return -1; }
  int64_t image_tokens() const override { return 0; }
  int64_t image_size() const override { return 0; }
  at::Tensor encode_image(const at::Tensor&, const Observer*) const override {
    throw InternalError("a text model was given a picture");
  }

 private:
  Llama language_;
};

struct Architecture {
  std::string name;
  std::function<std::unique_ptr<Model>(const JsonFields&, const WeightReader&)> build;
  std::function<void(const JsonFields&, ModelSummary&)> summarize;
};

void summarize_text(const LlamaConfig& c, ModelSummary& summary) {
  summary.text =
      fmt::format("{} layers, hidden {}, {} query and {} KV heads of {}, vocabulary {}", c.layers,
                  c.hidden_size, c.query_heads, c.kv_heads, c.head_dim, c.vocab_size);
  summary.max_positions = c.max_positions;
  summary.vocab_size = c.vocab_size;
  summary.cache_bytes_per_token_fp16 = c.cache_bytes_per_token(/*element_bytes=*/2);
}

const std::vector<Architecture>& architectures() {
  static const std::vector<Architecture> all{
      {"LlamaForCausalLM",
       [](const JsonFields& config, const WeightReader& weights) -> std::unique_ptr<Model> {
         return std::make_unique<TextModel>(LlamaConfig::read(config), weights);
       },
       [](const JsonFields& config, ModelSummary& summary) {
         summarize_text(LlamaConfig::read(config), summary);
       }},
      {"LlavaForConditionalGeneration",
       [](const JsonFields& config, const WeightReader& weights) -> std::unique_ptr<Model> {
         return std::make_unique<Llava>(LlavaConfig::read(config), weights);
       },
       [](const JsonFields& config, ModelSummary& summary) {
         const LlavaConfig c = LlavaConfig::read(config);
         summarize_text(c.text, summary);
         summary.vision = fmt::format(
             "CLIP, {} layers, hidden {}, {} heads, {} px in patches of {}", c.vision.layers,
             c.vision.hidden_size, c.vision.heads, c.vision.image_size, c.vision.patch_size);
         summary.image_token = c.image_token;
         summary.image_tokens = c.image_tokens();
       }},
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
