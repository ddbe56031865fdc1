#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include "weights/safetensors.h"

namespace elastikv {

/// The weights of a Hugging Face model folder: `model.safetensors`, or the shards that
/// `model.safetensors.index.json` lists (the first wins when both are there, as in transformers).
/// Tensors go by their canonical names (see canonical_name), whichever spelling the files use.
/// Copies are cheap and share the maps.
class Checkpoint final {
 public:
  /// Maps all files and checks their headers; reads no tensor. Error when there are no weights (and
  /// how to convert them when there are only pickled ones), a shard is missing, lies outside the
  /// folder or lacks a tensor that the index puts there, or two tensors have one canonical name.
  static Checkpoint open(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const;
  /// Canonical names in alphabetical order.
  std::vector<std::string> names() const;
  bool has(std::string_view name) const;
  /// Dtype and shape; Error with the nearest name when there is no such tensor.
  const TensorInfo& info(std::string_view name) const;
  /// See SafetensorsFile::tensor; the view stays valid after the checkpoint is gone.
  at::Tensor tensor(std::string_view name) const;
  /// The file that holds a tensor, and the tensor's name in it.
  const std::filesystem::path& file_of(std::string_view name) const;
  const std::string& stored_name(std::string_view name) const;

  /// Number of elements of all tensors together, and the bytes they take in the files.
  int64_t parameters() const;
  int64_t bytes() const;

  /// Names the weights in records: a hash over all bytes of all files, shards in the order of their
  /// names, and of the index. Reads everything on the first call; later ones are free.
  const std::string& content_hash() const;

 private:
  struct State;
  struct Entry;
  explicit Checkpoint(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  const Entry& entry(std::string_view name) const;

  std::shared_ptr<const State> state_;
};

}  // namespace elastikv
