#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "models/image_prompt.h"
#include "models/model.h"
#include "models/model_summary.h"
#include "weights/weight_reader.h"

namespace elastikv {

/// The names in config.json's "architectures" that can be loaded.
std::vector<std::string> known_architectures();

/// What config.json says, read without any weights. Error for an unknown architecture or a bad
/// field.
ModelSummary summarize_model(const std::filesystem::path& folder);

/// How a checkpoint's family writes images into prompts, read without any weights; null for a
/// model without images.
std::unique_ptr<ImagePrompt> read_image_prompt(const std::filesystem::path& folder);

/// The image processor of a checkpoint, wherever its family keeps what describes it; only for a
/// model with images. `choice` overrides what the checkpoint says.
std::unique_ptr<ImageProcessor> read_model_image_processor(const std::filesystem::path& folder,
                                                           const ImageChoice& choice = {});

/// The weights of a checkpoint folder, and of the folder that its vision tower has of its own (the
/// original LLaVA: config.json's mm_vision_tower, looked for inside the folder, beside it, and as a
/// path).
Checkpoint open_weights(const std::filesystem::path& folder);

/// Number of weights that config.json asks for, vision tower included; reads no weights.
int64_t count_parameters(const std::filesystem::path& folder);

/// What a folder says of its model before all of its files are there.
struct PartialModel {
  ModelSummary summary;
  /// The tensors that config.json asks for, with their shapes; of the decoder alone where
  /// `vision_missing` says something.
  std::vector<WeightReport::Missing> needed;
  int64_t parameters = 0;  ///< of these
  /// Why the vision tower is not known (the original LLaVA's has a folder of its own); empty where
  /// it is, or there is none.
  std::string vision_missing;
  /// The weight files that are not there (missing_weight_files), with the tower's folder where it
  /// has one.
  std::vector<std::string> weights_missing;
};
/// Error for a config.json that is missing, or not known, or wrong. Reads no weights.
PartialModel read_partial_model(const std::filesystem::path& folder);

/// What a plan needs of a model that is not at hand, from its published config.json alone.
struct PublishedModel {
  ModelSummary summary;
  int64_t parameters = 0;
  /// Of one view of an image; 0 where the tower takes images as large as they come.
  int64_t image_tokens = 0;
  int64_t image_patches = 0;
  /// Whether an image's own size decides how many tokens it becomes, which config.json alone
  /// does not say: more tokens than those of one view.
  bool images_vary = false;
};
PublishedModel read_published_model(const std::filesystem::path& config_file);

struct LoadOptions {
  /// Called while weights load: bytes of the files taken so far, and in all.
  WeightReader::Progress progress{};
  /// Bytes of the weights' files that memory has room for beside the weights; of more than that the
  /// pages are forgotten (see WeightReader::forget_pages).
  int64_t room_for_files = INT64_MAX;
};

/// Loads a checkpoint folder. Error for anything that is missing or does not fit, before memory is
/// spent on the rest.
std::unique_ptr<Model> load_model(const std::filesystem::path& folder, c10::Device device,
                                  c10::ScalarType dtype, const LoadOptions& options = {});

/// Error unless config.json can be computed, the weights are not quantised, and the weight files'
/// headers hold every tensor that is needed; reads no weights.
void require_loadable(const std::filesystem::path& folder);

/// Compares a checkpoint's tensors with what its config.json needs; reads no weights.
WeightReport check_weights(const std::filesystem::path& folder);

}  // namespace elastikv
