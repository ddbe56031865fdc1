#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "weights/weight_file.h"

namespace elastikv {

/// Writes a safetensors file. Tensors of wider types come first, otherwise in the given order, so
/// that all of them lie aligned; any strides.
inline void write_safetensors(const std::filesystem::path& file,
                              const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
  std::vector<std::pair<std::string, at::Tensor>> ordered;
  for (const auto& [name, tensor] : tensors) ordered.emplace_back(name, tensor.contiguous());
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return a.second.element_size() > b.second.element_size();
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  std::string data;
  for (const auto& [name, tensor] : ordered) {
    header[name] = {{"dtype", stored_dtype_name(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {data.size(), data.size() + tensor.nbytes()}}};
    data.append(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
  }
  // The length takes 8 bytes, and so may an element.
  constexpr size_t kAlignment = 8;
  std::string text = header.dump();
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  const uint64_t length = text.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  write_file_atomically(file, bytes + text + data);
}

}  // namespace elastikv
