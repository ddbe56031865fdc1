#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "weights/weight_file.h"

namespace elastikv {

/// A safetensors file: 8 bytes little-endian header length, a JSON header, then the tensors' bytes.
/// The format is https://github.com/huggingface/safetensors#format.
///
/// Opening maps the file and checks the whole header, so that later reads stay inside the map
/// whatever the file holds. Error, naming the file and the tensor, for: a file that is cut off or
/// too short, a header longer than the file or than the format's 100 MB, JSON that is malformed or
/// holds a name twice, entries without dtype, shape or data_offsets or with impossible ones,
/// offsets that overlap, leave a hole or do not fit dtype and shape.
class SafetensorsFile final : public WeightFile {
 public:
  explicit SafetensorsFile(std::filesystem::path file);

  /// The header's `__metadata__`, empty when it has none.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  void read_header();
  void check_coverage() const;

  std::map<std::string, std::string> metadata_;
};

/// Writes a safetensors file in one step (see write_file_atomically). Tensors of wider types come
/// first, otherwise in the given order, so that all of them lie aligned; any device and strides.
/// Error when a name is given twice or reserved, or a dtype has no name in the format.
void write_safetensors(const std::filesystem::path& file,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace elastikv
