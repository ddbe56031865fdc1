#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/json_fields.h"
#include "image/image_processor.h"
#include "models/image_prompt.h"
#include "models/llama/config.h"
#include "models/model.h"
#include "models/model_summary.h"
#include "weights/checkpoint.h"
#include "weights/missing_files.h"
#include "weights/weight_reader.h"

namespace elastikv {

/// A checkpoint folder and its config.json.
struct ModelFolder {
  std::filesystem::path path;  ///< empty for a published config.json alone
  JsonFields config;
};

/// One of the names in config.json's "architectures": how a family of models reads a checkpoint.
/// Error for a field of config.json that is wrong or not computed here.
class Architecture {
 public:
  explicit Architecture(std::string name) : name_(std::move(name)) {}
  virtual ~Architecture() = default;

  const std::string& name() const { return name_; }
  /// The model, with what it takes from `weights`, which need not hold numbers
  /// (WeightReader::Mode).
  virtual std::unique_ptr<Model> build(const ModelFolder& folder,
                                       const WeightReader& weights) const = 0;
  /// Fills in all but the architecture's name.
  virtual void summarize(const ModelFolder& folder, ModelSummary& summary) const = 0;
  /// The weights of all the folders that it needs.
  virtual Checkpoint open_weights(const ModelFolder& folder) const {
    return Checkpoint::open(folder.path);
  }
  /// Why the vision tower's own folder is not there; empty where it is, or is not needed.
  virtual std::string missing_tower(const ModelFolder&) const { return {}; }
  /// The decoder alone, for a model whose tower is missing.
  virtual LlamaConfig decoder(const ModelFolder& folder) const {
    ModelSummary summary;
    summarize(folder, summary);
    return summary.decoder;
  }
  /// The weight files that are not there.
  virtual std::vector<std::string> missing_weights(const ModelFolder& folder) const {
    return missing_weight_files(folder.path);
  }
  /// Null for a model without images.
  virtual std::unique_ptr<ImagePrompt> image_prompt(const ModelFolder&) const { return nullptr; }
  /// Only for a model with images.
  virtual std::unique_ptr<ImageProcessor> image_processor(const ModelFolder& folder,
                                                          const ImageChoice& choice) const {
    return read_image_processor(folder.path, choice);
  }

 private:
  std::string name_;
};

/// What a family of models defines in lib/models/<family>/architecture.cc, for registry.cc to list.
using Architectures = std::vector<std::unique_ptr<Architecture>>;

}  // namespace elastikv
