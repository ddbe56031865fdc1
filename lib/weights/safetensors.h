#pragma once

#include <filesystem>

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

 private:
  void read_header();
  void check_coverage() const;
};

}  // namespace elastikv
