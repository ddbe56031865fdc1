#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "image/image.h"
#include "support/crc32.h"
#include "support/paths.h"

/// What Pillow and transformers make of the images in tests/golden/image; written by
/// tests/parity/make_image_golden.py.
inline std::filesystem::path golden_image(const std::string& name) {
  return std::filesystem::path(source_path("tests/golden/image")) / name;
}

inline const nlohmann::json& golden() {
  static const nlohmann::json all =
      nlohmann::json::parse(elastikv::read_file(golden_image("golden.json")));
  return all;
}

/// The noise of make_image_golden.py's pattern(): an image that needs no file.
inline elastikv::Image pattern(elastikv::ImageSize size) {
  elastikv::Image image(size);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    uint32_t hashed = static_cast<uint32_t>(i + 1) * 2654435761U;
    hashed ^= hashed >> 15;
    hashed *= 2246822519U;
    hashed ^= hashed >> 13;
    image.pixels[i] = static_cast<uint8_t>(hashed >> 24);
  }
  return image;
}
