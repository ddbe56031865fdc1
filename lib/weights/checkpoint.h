#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include "weights/weight_file.h"

namespace elastikv {

/// The weights of a Hugging Face model folder: `model.safetensors`, or the shards that
/// `model.safetensors.index.json` lists, or `pytorch_model.bin`, or the shards of
/// `pytorch_model.bin.index.json`; the first of these wins, as in transformers. Tensors go by their
/// canonical names (see canonical_names), whichever spelling the files use.
/// Copies are cheap and share the maps.
class Checkpoint final {
 public:
  /// Maps all files and checks their headers; reads no tensor. Error when there are no weights, a
  /// file is not sound (see SafetensorsFile and PytorchFile, which runs no pickle), a shard is
  /// missing, lies outside the folder or lacks a tensor that the index puts there, or two tensors
  /// have one canonical name.
  static Checkpoint open(const std::filesystem::path& folder);

  /// This checkpoint together with a vision tower that is kept in a folder of its own, as the
  /// original LLaVA keeps CLIP's (openai/clip-vit-large-patch14-336): `vision_model.*` of `clip`
  /// become `model.vision_tower.*`, and CLIP's text model and projections are left out. Error when
  /// this one has a tower already or `clip` has none.
  Checkpoint with_vision_tower(const Checkpoint& clip) const;

  /// The language model's, when there are two.
  const std::filesystem::path& folder() const;
  /// Canonical names in alphabetical order.
  std::vector<std::string> names() const;
  bool has(std::string_view name) const;
  /// Dtype and shape; Error with the nearest name when there is no such tensor.
  const TensorInfo& info(std::string_view name) const;
  /// See WeightFile::tensor; the view stays valid after the checkpoint is gone.
  at::Tensor tensor(std::string_view name) const;
  /// See WeightFile::release.
  void release(std::string_view name) const;
  void forget(std::string_view name) const;
  /// The file that holds a tensor, and the tensor's name in it.
  const std::filesystem::path& file_of(std::string_view name) const;
  const std::string& stored_name(std::string_view name) const;

  /// Number of elements of all tensors together, and the bytes they take in the files; what several
  /// tensors share counts for each.
  int64_t parameters() const;
  int64_t bytes() const;

  /// Names the weights in records: a hash over all bytes of all files, shards in the order of their
  /// names, and of the index; with a vision tower of its own folder, of both folders. Reads
  /// everything on the first call; later ones are free.
  const std::string& content_hash() const;

 private:
  struct State;
  struct Entry;
  explicit Checkpoint(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  const Entry& entry(std::string_view name) const;

  std::shared_ptr<const State> state_;
};

}  // namespace elastikv
