#include "models/registry.h"

#include <functional>
#include <numeric>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/json_fields.h"
#include "base/nearest_name.h"
#include "image/clip_processor.h"
#include "models/idefics3.h"
#include "models/llama.h"
#include "models/llava.h"
#include "models/quantization.h"
#include "models/qwen2_vl.h"
#include "models/qwen_vl.h"
#include "weights/missing_files.h"

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

/// A checkpoint folder and its config.json.
struct Folder {
  std::filesystem::path path;
  JsonFields config;
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

/// One of the names in config.json's "architectures".
class Architecture {
 public:
  explicit Architecture(std::string name) : name_(std::move(name)) {}
  virtual ~Architecture() = default;

  const std::string& name() const { return name_; }
  virtual std::unique_ptr<Model> build(const Folder& folder, const WeightReader& weights) const = 0;
  virtual void summarize(const Folder& folder, ModelSummary& summary) const = 0;
  virtual Checkpoint open_weights(const Folder& folder) const {
    return Checkpoint::open(folder.path);
  }
  /// Why the vision tower's own folder is not there; empty where it is, or is not needed.
  virtual std::string missing_tower(const Folder&) const { return {}; }
  /// The decoder alone, for a model whose tower is missing.
  virtual LlamaConfig decoder(const Folder& folder) const {
    ModelSummary summary;
    summarize(folder, summary);
    return summary.decoder;
  }
  virtual std::vector<std::string> missing_weights(const Folder& folder) const {
    return missing_weight_files(folder.path);
  }
  /// Null for a model without pictures.
  virtual std::unique_ptr<ImagePrompt> image_prompt(const Folder&) const { return nullptr; }
  /// Only for a model with pictures.
  virtual std::unique_ptr<ImageProcessor> image_processor(const Folder& folder,
                                                          const ImageChoice& choice) const {
    return read_image_processor(folder.path, choice);
  }

 private:
  std::string name_;
};

/// A decoder alone; `type` is config.json's model_type where that is missing.
class TextArchitecture final : public Architecture {
 public:
  TextArchitecture(std::string name, std::string type)
      : Architecture(std::move(name)), type_(std::move(type)) {}
  std::unique_ptr<Model> build(const Folder& folder, const WeightReader& weights) const override {
    return std::make_unique<TextModel>(LlamaConfig::read(folder.config, type_), weights);
  }
  void summarize(const Folder& folder, ModelSummary& summary) const override {
    summarize_text(LlamaConfig::read(folder.config, type_), summary);
  }

 private:
  std::string type_;
};

class LlavaArchitecture : public Architecture {
 public:
  LlavaArchitecture(std::string name, LlavaConfig::Family family)
      : Architecture(std::move(name)), family_(family) {}
  std::unique_ptr<Model> build(const Folder& folder, const WeightReader& weights) const override {
    return std::make_unique<Llava>(read(folder), weights);
  }
  void summarize(const Folder& folder, ModelSummary& summary) const override {
    const LlavaConfig c = read(folder);
    summarize_text(c.text, summary);
    summary.vision = vision_text(c.vision);
    summary.image_token = c.image_token;
    summary.image_size = c.vision.image_size;
  }
  std::unique_ptr<ImagePrompt> image_prompt(const Folder& folder) const override {
    return make_image_prompt(read(folder), read_processor_config(folder.path));
  }

 protected:
  virtual LlavaConfig read(const Folder& folder) const {
    return LlavaConfig::read(folder.config, family_);
  }

 private:
  LlavaConfig::Family family_;
};

/// liuhaotian/llava-v1.5-* and what was trained with that code: CLIP lies in a folder of its own.
class OriginalLlavaArchitecture final : public LlavaArchitecture {
 public:
  explicit OriginalLlavaArchitecture(std::string name)
      : LlavaArchitecture(std::move(name), LlavaConfig::Family::kOriginal) {}
  Checkpoint open_weights(const Folder& folder) const override {
    Checkpoint weights = Checkpoint::open(folder.path);
    // Checkpoints whose tower was trained too hold it themselves.
    if (weights.has(kTowersFirst)) return weights;
    return weights.with_vision_tower(Checkpoint::open(tower_folder(folder)));
  }
  std::string missing_tower(const Folder& folder) const override {
    try {
      tower_folder(folder);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }
  LlamaConfig decoder(const Folder& folder) const override {
    ClipVisionConfig any;
    any.layers = 1000;  // whichever layer of it gives the features, this tower has one
    return LlavaConfig::read_original(folder.config, any).text;
  }
  std::vector<std::string> missing_weights(const Folder& folder) const override {
    std::vector<std::string> missing = missing_weight_files(folder.path);
    if (!missing_tower(folder).empty()) return missing;
    if (missing.empty() && Checkpoint::open(folder.path).has(kTowersFirst)) return missing;
    const std::filesystem::path tower = tower_folder(folder);
    for (const std::string& file : missing_weight_files(tower))
      missing.push_back(fmt::format("{}: {}", tower.string(), file));
    return missing;
  }
  std::unique_ptr<ImageProcessor> image_processor(const Folder& folder,
                                                  const ImageChoice& choice) const override {
    const std::string own = folder.config.string("image_aspect_ratio", "square");
    if (own != "pad" && own != "square") {
      folder.config.fail_key("image_aspect_ratio",
                             fmt::format("is '{}'; pad and square are computed here", own));
    }
    const auto otherwise = own == "pad" ? ImageAspectRatio::kPad : ImageAspectRatio::kCrop;
    return read_image_processor(tower_folder(folder),
                                {choice.aspect_ratio.value_or(otherwise), choice.pixels});
  }

 protected:
  LlavaConfig read(const Folder& folder) const override {
    const JsonFields tower = JsonFields::read(tower_folder(folder) / "config.json");
    LlavaConfig c = LlavaConfig::read_original(
        folder.config,
        ClipVisionConfig::read(tower.has("vision_config") ? tower.object("vision_config") : tower));
    return c;
  }

 private:
  static constexpr const char* kTowersFirst = "model.vision_tower.embeddings.class_embedding";

  /// Where the folder that mm_vision_tower names (a hub name, mostly) lies on this machine.
  static std::filesystem::path tower_folder(const Folder& folder) {
    const std::filesystem::path name =
        folder.config.string("mm_vision_tower", folder.config.string("vision_tower", ""));
    if (name.empty()) {
      folder.config.fail_key("mm_vision_tower", "is missing (the folder of CLIP is needed)");
    }
    if (folder.path.empty()) {
      folder.config.fail_key("mm_vision_tower",
                             fmt::format("is '{}', a folder of its own; a published config.json "
                                         "alone says nothing of it",
                                         name.string()));
    }
    const std::filesystem::path parent = std::filesystem::absolute(folder.path).parent_path();
    const std::vector<std::filesystem::path> places{
        folder.path / name, folder.path / name.filename(), parent / name.filename(), name};
    for (const std::filesystem::path& place : places) {
      if (path_exists(place / "config.json")) return place;
    }
    folder.config.fail_key(
        "mm_vision_tower",
        fmt::format("is '{}', and no folder with a config.json is at {}, {} or {}; put or link the "
                    "vision tower's checkpoint there",
                    name.string(), places[1].string(), places[2].string(), places[3].string()));
  }
};

class Idefics3Architecture final : public Architecture {
 public:
  using Architecture::Architecture;
  std::unique_ptr<Model> build(const Folder& folder, const WeightReader& weights) const override {
    return std::make_unique<Idefics3>(Idefics3Config::read(folder.config), weights);
  }
  void summarize(const Folder& folder, ModelSummary& summary) const override {
    const Idefics3Config c = Idefics3Config::read(folder.config);
    summarize_text(c.text, summary);
    summary.vision = vision_text(c.vision);
    summary.image_token = c.image_token;
    summary.image_size = c.vision.image_size;
  }
  std::unique_ptr<ImagePrompt> image_prompt(const Folder& folder) const override {
    return make_image_prompt(Idefics3Config::read(folder.config),
                             read_processor_config(folder.path));
  }
};

class Qwen2VlArchitecture final : public Architecture {
 public:
  using Architecture::Architecture;
  std::unique_ptr<Model> build(const Folder& folder, const WeightReader& weights) const override {
    return std::make_unique<Qwen2Vl>(Qwen2VlConfig::read(folder.config), weights);
  }
  void summarize(const Folder& folder, ModelSummary& summary) const override {
    const Qwen2VlConfig c = Qwen2VlConfig::read(folder.config);
    summarize_text(c.text, summary);
    summary.vision =
        fmt::format("Qwen, {} layers, hidden {}, {} heads, pictures of any size in patches of {}",
                    c.vision.layers, c.vision.hidden_size, c.vision.heads, c.vision.patch_size);
    if (c.vision.window_size > 0)
      summary.vision += fmt::format(", windows of {} px", c.vision.window_size);
    summary.image_token = c.image_token;
  }
  std::unique_ptr<ImagePrompt> image_prompt(const Folder& folder) const override {
    return make_image_prompt(Qwen2VlConfig::read(folder.config), folder.path);
  }
};

/// Qwen-VL-Chat, which comes with no file about its image processor: its code does what CLIP's does
/// without the crop.
class QwenVlArchitecture final : public Architecture {
 public:
  using Architecture::Architecture;
  std::unique_ptr<Model> build(const Folder& folder, const WeightReader& weights) const override {
    return std::make_unique<QwenVl>(QwenVlConfig::read(folder.config), weights);
  }
  void summarize(const Folder& folder, ModelSummary& summary) const override {
    const QwenVlConfig c = QwenVlConfig::read(folder.config);
    summarize_text(c.text, summary);
    summary.vision =
        fmt::format("Qwen-VL, {} layers, hidden {}, {} heads, {} px in patches of {}, {} features",
                    c.vision.layers, c.vision.width, c.vision.heads, c.vision.image_size,
                    c.vision.patch_size, c.vision.queries);
    summary.image_token = c.image_token;
    summary.image_size = c.vision.image_size;
  }
  std::unique_ptr<ImagePrompt> image_prompt(const Folder& folder) const override {
    return make_image_prompt(QwenVlConfig::read(folder.config));
  }
  std::unique_ptr<ImageProcessor> image_processor(const Folder& folder,
                                                  const ImageChoice& choice) const override {
    if (choice.pixels != PixelBackend::kPil) {
      fail(
          "{}: pixels '{}' cannot be had of Qwen-VL-Chat, whose own code resizes with Pillow; "
          "leave it out",
          folder.path.string(), pixel_backend_name(choice.pixels));
    }
    const int64_t side = QwenVlConfig::read(folder.config).vision.image_size;
    ClipProcessorConfig processor;
    processor.shortest_edge.reset();
    processor.resize_to = PictureSize{side, side};
    processor.do_center_crop = false;
    processor.aspect_ratio = choice.aspect_ratio.value_or(ImageAspectRatio::kCrop);
    return std::make_unique<ClipProcessor>(processor);
  }
};

const std::vector<std::unique_ptr<Architecture>>& architectures() {
  static const std::vector<std::unique_ptr<Architecture>> all = [] {
    using Family = LlavaConfig::Family;
    std::vector<std::unique_ptr<Architecture>> list;
    list.push_back(std::make_unique<TextArchitecture>("LlamaForCausalLM", "llama"));
    list.push_back(std::make_unique<TextArchitecture>("MistralForCausalLM", "mistral"));
    list.push_back(std::make_unique<TextArchitecture>("Qwen2ForCausalLM", "qwen2"));
    list.push_back(std::make_unique<TextArchitecture>("Qwen3ForCausalLM", "qwen3"));
    list.push_back(
        std::make_unique<LlavaArchitecture>("LlavaForConditionalGeneration", Family::kLlava));
    list.push_back(
        std::make_unique<LlavaArchitecture>("LlavaNextForConditionalGeneration", Family::kNext));
    list.push_back(std::make_unique<LlavaArchitecture>("LlavaOnevisionForConditionalGeneration",
                                                       Family::kOnevision));
    list.push_back(std::make_unique<OriginalLlavaArchitecture>("LlavaLlamaForCausalLM"));
    list.push_back(std::make_unique<Idefics3Architecture>("Idefics3ForConditionalGeneration"));
    list.push_back(std::make_unique<Idefics3Architecture>("SmolVLMForConditionalGeneration"));
    list.push_back(std::make_unique<Qwen2VlArchitecture>("Qwen2VLForConditionalGeneration"));
    list.push_back(std::make_unique<Qwen2VlArchitecture>("Qwen2_5_VLForConditionalGeneration"));
    list.push_back(std::make_unique<QwenVlArchitecture>("QWenLMHeadModel"));
    return list;
  }();
  return all;
}

Folder open_folder(const std::filesystem::path& folder) {
  if (!is_folder(folder)) {
    fail("{}: {}; a checkpoint folder (Hugging Face layout) with a config.json is needed",
         folder.string(), path_exists(folder) ? "not a folder" : "no such folder");
  }
  return {folder, JsonFields::read(folder / "config.json")};
}

const Architecture& find_architecture(const Folder& folder) {
  const std::vector<std::string> named = folder.config.strings("architectures");
  if (named.empty()) folder.config.fail_key("architectures", "is an empty list");
  for (const auto& architecture : architectures()) {
    if (architecture->name() == named[0]) return *architecture;
  }
  folder.config.fail_key("architectures", fmt::format("names '{}', which is not known{}", named[0],
                                                      suggestion(named[0], known_architectures())));
}

/// Asks a checkpoint for every tensor a model needs without reading any.
WeightReader dry_run(const Folder& folder, const Checkpoint& checkpoint) {
  WeightReader reader(checkpoint, c10::Device(c10::DeviceType::CPU), c10::ScalarType::Float,
                      WeightReader::Mode::kDry);
  find_architecture(folder).build(folder, reader);
  return reader;
}

}  // namespace

std::vector<std::string> known_architectures() {
  std::vector<std::string> names;
  for (const auto& architecture : architectures()) names.push_back(architecture->name());
  return names;
}

ModelSummary summarize_model(const std::filesystem::path& path) {
  const Folder folder = open_folder(path);
  const Architecture& architecture = find_architecture(folder);
  ModelSummary summary;
  summary.architecture = architecture.name();
  architecture.summarize(folder, summary);
  return summary;
}

std::unique_ptr<ImagePrompt> read_image_prompt(const std::filesystem::path& path) {
  const Folder folder = open_folder(path);
  return find_architecture(folder).image_prompt(folder);
}

std::unique_ptr<ImageProcessor> read_model_image_processor(const std::filesystem::path& path,
                                                           const ImageChoice& choice) {
  const Folder folder = open_folder(path);
  return find_architecture(folder).image_processor(folder, choice);
}

Checkpoint open_weights(const std::filesystem::path& path) {
  const Folder folder = open_folder(path);
  return find_architecture(folder).open_weights(folder);
}

std::unique_ptr<Model> load_model(const std::filesystem::path& path, c10::Device device,
                                  c10::ScalarType dtype, const LoadOptions& options) {
  const Folder folder = open_folder(path);
  require_unquantized(path);
  const Architecture& architecture = find_architecture(folder);
  // What is missing is said before anything large is read.
  const Checkpoint checkpoint = architecture.open_weights(folder);
  const WeightReader dry = dry_run(folder, checkpoint);
  dry.finish();
  const WeightReader reader(checkpoint, device, dtype);
  if (options.progress) reader.on_progress(options.progress, dry.taken_bytes());
  std::unique_ptr<Model> model = architecture.build(folder, reader);
  reader.finish();
  return model;
}

namespace {

int64_t count_parameters(const std::vector<WeightReport::Missing>& tensors) {
  int64_t parameters = 0;
  for (const WeightReport::Missing& tensor : tensors)
    parameters += std::accumulate(tensor.needed.begin(), tensor.needed.end(), int64_t{1},
                                  std::multiplies<int64_t>());
  return parameters;
}

int64_t count_parameters(const Folder& folder) {
  const WeightReader reader = WeightReader::listing();
  find_architecture(folder).build(folder, reader);
  return count_parameters(reader.report().missing);
}

}  // namespace

int64_t count_parameters(const std::filesystem::path& path) {
  return count_parameters(open_folder(path));
}

PartialModel read_partial_model(const std::filesystem::path& path) {
  const Folder folder = open_folder(path);
  const Architecture& architecture = find_architecture(folder);
  PartialModel model;
  model.summary.architecture = architecture.name();
  model.vision_missing = architecture.missing_tower(folder);
  const WeightReader reader = WeightReader::listing();
  if (model.vision_missing.empty()) {
    architecture.summarize(folder, model.summary);
    architecture.build(folder, reader);
  } else {
    const LlamaConfig decoder = architecture.decoder(folder);
    summarize_text(decoder, model.summary);
    TextModel(decoder, reader);
  }
  model.needed = reader.report().missing;
  model.parameters = count_parameters(model.needed);
  model.weights_missing = architecture.missing_weights(folder);
  return model;
}

PublishedModel read_published_model(const std::filesystem::path& config_file) {
  // No folder stands around it, so nothing beside config.json is read.
  const Folder folder{{}, JsonFields::read(config_file)};
  const Architecture& architecture = find_architecture(folder);
  PublishedModel model;
  model.summary.architecture = architecture.name();
  architecture.summarize(folder, model.summary);
  model.parameters = count_parameters(folder);
  if (model.summary.image_size == 0) {
    model.pictures_vary = model.summary.takes_pictures();
    return model;
  }
  ImageGeometry square;
  square.picture = square.view = {model.summary.image_size, model.summary.image_size};
  const std::unique_ptr<ImagePrompt> prompt = architecture.image_prompt(folder);
  model.image_tokens = prompt->features(square);
  model.image_patches = prompt->patches(square);
  ImageGeometry tiles = square;
  tiles.picture = {2 * square.view.width, 2 * square.view.height};
  tiles.tile_rows = tiles.tile_columns = 2;
  model.pictures_vary = prompt->features(tiles) != model.image_tokens;
  return model;
}

WeightReport check_weights(const std::filesystem::path& path) {
  const Folder folder = open_folder(path);
  return dry_run(folder, find_architecture(folder).open_weights(folder)).report();
}

void require_loadable(const std::filesystem::path& path) {
  const Folder folder = open_folder(path);
  require_unquantized(path);
  dry_run(folder, find_architecture(folder).open_weights(folder)).finish();
}

}  // namespace elastikv
