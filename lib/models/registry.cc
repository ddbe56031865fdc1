#include "models/registry.h"

#include <functional>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "base/files.h"
#include "base/json_fields.h"
#include "base/nearest_name.h"
#include "models/architecture.h"
#include "models/idefics3/architecture.h"
#include "models/llama/architecture.h"
#include "models/llama/text_model.h"
#include "models/llava/architecture.h"
#include "models/quantization.h"
#include "models/qwen2_vl/architecture.h"
#include "models/qwen_vl/architecture.h"

namespace elastikv {
namespace {

void add(Architectures family, Architectures& all) {
  for (auto& architecture : family) all.push_back(std::move(architecture));
}

/// Of every family of models, in the order of `elastikv list`.
const Architectures& architectures() {
  static const Architectures all = [] {
    Architectures families;
    add(llama_architectures(), families);
    add(llava_architectures(), families);
    add(idefics3_architectures(), families);
    add(qwen2_vl_architectures(), families);
    add(qwen_vl_architectures(), families);
    return families;
  }();
  return all;
}

ModelFolder open_folder(const std::filesystem::path& folder) {
  if (!is_folder(folder)) {
    fail("{}: {}; a checkpoint folder (Hugging Face layout) with a config.json is needed",
         folder.string(), path_exists(folder) ? "not a folder" : "no such folder");
  }
  return {folder, JsonFields::read(folder / "config.json")};
}

const Architecture& find_architecture(const ModelFolder& folder) {
  const std::vector<std::string> named = folder.config.strings("architectures");
  if (named.empty()) folder.config.fail_key("architectures", "is an empty list");
  for (const auto& architecture : architectures()) {
    if (architecture->name() == named[0]) return *architecture;
  }
  folder.config.fail_key("architectures", fmt::format("names '{}', which is not known{}", named[0],
                                                      suggestion(named[0], known_architectures())));
}

/// Asks a checkpoint for every tensor a model needs without reading any.
WeightReader dry_run(const ModelFolder& folder, const Checkpoint& checkpoint) {
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
  const ModelFolder folder = open_folder(path);
  const Architecture& architecture = find_architecture(folder);
  ModelSummary summary;
  summary.architecture = architecture.name();
  architecture.summarize(folder, summary);
  return summary;
}

std::unique_ptr<ImagePrompt> read_image_prompt(const std::filesystem::path& path) {
  const ModelFolder folder = open_folder(path);
  return find_architecture(folder).image_prompt(folder);
}

std::unique_ptr<ImageProcessor> read_model_image_processor(const std::filesystem::path& path,
                                                           const ImageChoice& choice) {
  const ModelFolder folder = open_folder(path);
  return find_architecture(folder).image_processor(folder, choice);
}

Checkpoint open_weights(const std::filesystem::path& path) {
  const ModelFolder folder = open_folder(path);
  return find_architecture(folder).open_weights(folder);
}

std::unique_ptr<Model> load_model(const std::filesystem::path& path, c10::Device device,
                                  c10::ScalarType dtype, const LoadOptions& options) {
  const ModelFolder folder = open_folder(path);
  require_unquantized(path);
  const Architecture& architecture = find_architecture(folder);
  // What is missing is said before anything large is read.
  const Checkpoint checkpoint = architecture.open_weights(folder);
  const WeightReader dry = dry_run(folder, checkpoint);
  dry.finish();
  const WeightReader reader(checkpoint, device, dtype);
  if (options.progress) reader.on_progress(options.progress, dry.taken_bytes());
  if (dry.taken_bytes() > options.room_for_files) reader.forget_pages();
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

int64_t count_parameters(const ModelFolder& folder) {
  const WeightReader reader = WeightReader::listing();
  find_architecture(folder).build(folder, reader);
  return count_parameters(reader.report().missing);
}

}  // namespace

int64_t count_parameters(const std::filesystem::path& path) {
  return count_parameters(open_folder(path));
}

PartialModel read_partial_model(const std::filesystem::path& path) {
  const ModelFolder folder = open_folder(path);
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
    model.summary.take_decoder(decoder);
    TextModel(decoder, reader);
  }
  model.needed = reader.report().missing;
  model.parameters = count_parameters(model.needed);
  model.weights_missing = architecture.missing_weights(folder);
  return model;
}

PublishedModel read_published_model(const std::filesystem::path& config_file) {
  // No folder stands around it, so nothing beside config.json is read.
  const ModelFolder folder{{}, JsonFields::read(config_file)};
  const Architecture& architecture = find_architecture(folder);
  PublishedModel model;
  model.summary.architecture = architecture.name();
  architecture.summarize(folder, model.summary);
  model.parameters = count_parameters(folder);
  if (model.summary.image_size == 0) {
    model.images_vary = model.summary.takes_images();
    return model;
  }
  ImageGeometry square;
  square.image = square.view = {model.summary.image_size, model.summary.image_size};
  const std::unique_ptr<ImagePrompt> prompt = architecture.image_prompt(folder);
  model.image_tokens = prompt->features(square);
  model.image_patches = prompt->patches(square);
  ImageGeometry tiles = square;
  tiles.image = {2 * square.view.width, 2 * square.view.height};
  tiles.tile_rows = tiles.tile_columns = 2;
  model.images_vary = prompt->features(tiles) != model.image_tokens;
  return model;
}

WeightReport check_weights(const std::filesystem::path& path) {
  const ModelFolder folder = open_folder(path);
  return dry_run(folder, find_architecture(folder).open_weights(folder)).report();
}

void require_loadable(const std::filesystem::path& path) {
  const ModelFolder folder = open_folder(path);
  require_unquantized(path);
  dry_run(folder, find_architecture(folder).open_weights(folder)).finish();
}

}  // namespace elastikv
