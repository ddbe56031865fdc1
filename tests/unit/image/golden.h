#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "base/files.h"

/// What Pillow and transformers make of the pictures in tests/golden/image; written by
/// tests/parity/make_image_golden.py.
inline std::filesystem::path golden_picture(const std::string& name) {
  return std::filesystem::path(ELASTIKV_SOURCE_DIR) / "tests" / "golden" / "image" / name;
}

inline const nlohmann::json& golden() {
  static const nlohmann::json all =
      nlohmann::json::parse(elastikv::read_file(golden_picture("golden.json")));
  return all;
}
