#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include "base/files.h"

namespace elastikv {

/// What a safetensors header says of one tensor.
struct TensorInfo {
  /// As the file spells it: "BF16", "F32", "I64", ...
  std::string dtype;
  /// torch's type for it; empty for those that torch does not have (such as the 4- and 6-bit ones).
  std::optional<c10::ScalarType> scalar_type;
  std::vector<int64_t> shape;
  /// First byte and one past the last, counted from the end of the header.
  size_t begin = 0;
  size_t end = 0;

  size_t bytes() const { return end - begin; }
  /// Number of elements; a scalar (shape []) has one.
  int64_t elements() const;
};

/// A safetensors file: 8 bytes little-endian header length, a JSON header, then the tensors' bytes.
/// The format is https://github.com/huggingface/safetensors#format.
///
/// Opening maps the file and checks the whole header, so that later reads stay inside the map
/// whatever the file holds. Error, naming the file and the tensor, for: a file that is cut off or
/// too short, a header longer than the file or than the format's 100 MB, JSON that is malformed or
/// holds a name twice, entries without dtype, shape or data_offsets or with impossible ones,
/// offsets that overlap, leave a hole or do not fit dtype and shape.
class SafetensorsFile final {
 public:
  explicit SafetensorsFile(std::filesystem::path file);

  const std::filesystem::path& path() const { return path_; }
  /// In alphabetical order.
  std::vector<std::string> names() const;
  bool has(std::string_view name) const;
  /// Error with the nearest name when there is no such tensor.
  const TensorInfo& info(std::string_view name) const;

  /// The tensor on the CPU, in the file's dtype and shape. Usually a view into the map, which lives
  /// as long as any such tensor; a copy when its bytes lie unaligned for its type. The map is
  /// read-only: never write to it in place. Error for a dtype that torch does not have, and for a
  /// BOOL byte that is neither 0 nor 1.
  at::Tensor tensor(std::string_view name) const;

  /// The header's `__metadata__`, empty when it has none.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// The whole file.
  std::string_view bytes() const { return map_->view(); }

 private:
  void read_header();
  void check_coverage() const;

  std::filesystem::path path_;
  std::shared_ptr<const MappedFile> map_;
  std::string_view data_;  // the part of the map after the header
  std::map<std::string, TensorInfo, std::less<>> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Writes a safetensors file in one step (see write_file_atomically). Tensors of wider types come
/// first, otherwise in the given order, so that all of them lie aligned; any device and strides.
/// Error when a name is given twice or reserved, or a dtype has no name in the format.
void write_safetensors(const std::filesystem::path& file,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace elastikv
