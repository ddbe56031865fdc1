#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include "base/files.h"
#include "base/hash.h"

namespace elastikv {

/// torch's operators take no more.
inline constexpr size_t kMostDimensions = 64;

/// What a file of weights says of one tensor.
struct TensorInfo {
  /// As safetensors spells it: "BF16", "F32", "I64", ...
  std::string dtype;
  /// torch's type for it; empty for those that torch does not have (such as the 4- and 6-bit ones).
  std::optional<c10::ScalarType> scalar_type;
  std::vector<int64_t> shape;
  /// Elements from one to the next in every dimension; empty when the elements follow each other in
  /// the order of the shape.
  std::vector<int64_t> strides;
  /// First byte of the elements and one past the last, counted from the start of the file's data.
  size_t begin = 0;
  size_t end = 0;

  /// Bytes from the first element to the last; with strides that need not be all of its own.
  size_t bytes() const { return end - begin; }
  /// Number of elements; a scalar (shape []) has one.
  int64_t elements() const;
};

/// The name that safetensors has for a type ("F16"), empty when it has none; and the type of a
/// name.
std::string_view stored_dtype_name(c10::ScalarType type);
std::optional<c10::ScalarType> scalar_type_of(std::string_view stored_dtype_name);

/// A mapped file of named tensors. The formats (SafetensorsFile, PytorchFile) differ in how they
/// say which tensor is where; they check all of it while the file is opened, so that later reads
/// stay inside the map whatever the file holds.
class WeightFile {
 public:
  virtual ~WeightFile() = default;
  WeightFile(const WeightFile&) = delete;
  WeightFile& operator=(const WeightFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// In alphabetical order.
  std::vector<std::string> names() const;
  bool has(std::string_view name) const;
  /// Error with the nearest name when there is no such tensor.
  const TensorInfo& info(std::string_view name) const;

  /// The tensor on the CPU, in the file's dtype, shape and strides. Usually a view into the map,
  /// which lives as long as any such tensor; a copy when its bytes lie unaligned for its type. The
  /// map is read-only: never write to it in place. Error for a dtype that torch does not have, and
  /// for a byte of a BOOL tensor that is neither 0 nor 1.
  at::Tensor tensor(std::string_view name) const;

  /// Says that the tensor's bytes will not be needed soon (see MappedFile::release). Reading them
  /// again is possible at any time.
  void release(std::string_view name) const;
  /// The same, and the system's page cache need not keep them either.
  void forget(std::string_view name) const;

  /// The whole file.
  std::string_view bytes() const { return map_->view(); }
  /// See content_hash.
  std::string hash() const { return content_hash(*map_); }

 protected:
  /// Maps the file; Error when that fails or when it is a Git LFS pointer.
  explicit WeightFile(std::filesystem::path file);
  /// Of a tensor's bytes, in the file.
  size_t offset_of(const TensorInfo& tensor) const;

  std::filesystem::path path_;
  std::shared_ptr<const MappedFile> map_;
  std::string_view data_;  // the part of the map that TensorInfo counts in
  std::map<std::string, TensorInfo, std::less<>> tensors_;
};

}  // namespace elastikv
