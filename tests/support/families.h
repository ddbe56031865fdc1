// The tiny checkpoints of every family of models, and what is said of them beside them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "image/image.h"
#include "support/tiny_models.h"

namespace elastikv {

inline std::filesystem::path families_folder() { return parity_folder() / "families"; }

/// Of all files beside the checkpoints: one per script that makes them.
inline const nlohmann::json& families() {
  static const nlohmann::json all = [] {
    nlohmann::json merged = nlohmann::json::object();
    for (const auto& entry : std::filesystem::directory_iterator(families_folder())) {
      if (entry.path().extension() == ".json")
        merged.update(nlohmann::json::parse(read_file(entry.path())).at("families"));
    }
    return merged;
  }();
  return all;
}

inline std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const auto& [name, family] : families().items()) names.push_back(name);
  return names;
}

/// A family's cases that transformers computes.
inline std::vector<nlohmann::json> computed_cases(const nlohmann::json& family) {
  std::vector<nlohmann::json> cases;
  for (const nlohmann::json& one : family.at("cases")) {
    if (!one.contains("refused")) cases.push_back(one);
  }
  return cases;
}

/// The images of one of a family's cases.
inline std::vector<ImageFile> images_of(const nlohmann::json& one) {
  std::vector<ImageFile> images;
  for (const std::string file : one.at("pictures"))
    images.emplace_back(families_folder() / "pictures" / file);
  return images;
}

}  // namespace elastikv
