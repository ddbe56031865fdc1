#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "weights/checkpoint.h"

namespace elastikv {

/// How a checkpoint differs from what a model asked of it; all names are full and sorted.
struct WeightReport {
  struct Missing {
    std::string name;
    std::vector<int64_t> needed;
  };
  struct WrongShape {
    std::string name;
    std::vector<int64_t> found;
    std::vector<int64_t> needed;
  };
  std::vector<Missing> missing;
  /// In the checkpoint, but neither asked for nor to be ignored.
  std::vector<std::string> unexpected;
  std::vector<WrongShape> wrong_shape;

  bool clean() const { return missing.empty() && unexpected.empty() && wrong_shape.empty(); }
};

/// Hands a model its tensors by name and keeps the account of what was asked for, so that a
/// checkpoint that does not fit is told in one message instead of one name at a time:
///
///     WeightReader reader(checkpoint, device, dtype);
///     LlamaDecoder decoder(config, reader.scope("model."));  // take("norm.weight", {hidden}) ...
///     reader.finish();
///
/// A tensor that is missing comes back undefined, and finish() then throws; so code between take()
/// and finish() that computes with a tensor (concatenates, transposes) checks defined() first.
class WeightReader final {
 public:
  enum class Mode {
    /// Returns tensors; a wrong shape is an Error at once.
    kLoad,
    /// Only compares names and shapes, as `inspect` does: reads no data, returns undefined tensors
    /// throughout and collects wrong shapes beside the missing names.
    kDry,
  };

  /// `dtype`: what floating-point tensors are converted to; integers and booleans keep theirs.
  WeightReader(Checkpoint checkpoint, c10::Device device, c10::ScalarType dtype,
               Mode mode = Mode::kLoad);

  /// A reader without a checkpoint, for timing models that are not at hand: every tensor that is
  /// asked for is there, made on the device in the target dtype. Matrices are drawn from a normal
  /// distribution of standard deviation 0.02, vectors are 1 for norms and 0 for biases.
  static WeightReader random(c10::Device device, c10::ScalarType dtype, uint64_t seed);
  /// The same in a moment: all numbers of all matrices are `value`.
  static WeightReader uniform(c10::Device device, c10::ScalarType dtype, double value);

  /// A dry reader without a checkpoint: report() lists all that a model asks for as missing, with
  /// the shapes needed.
  static WeightReader listing();

  /// A reader whose names all begin with `prefix` (give it its dot: "layers.0."), within this one's
  /// own prefix; both keep one account.
  WeightReader scope(std::string_view prefix) const;

  /// What is called after a tensor was taken: bytes of the file that were taken so far, and all
  /// that will be.
  using Progress = std::function<void(int64_t taken, int64_t all)>;
  /// Calls `progress` after every tensor that is taken for the first time, in this reader and all
  /// its scopes; not in dry mode. `all_bytes`: what a dry reader's taken_bytes() came to. Random
  /// weights take no bytes.
  void on_progress(Progress progress, int64_t all_bytes) const;
  /// Bytes in the file of the tensors taken so far, each counted once; in dry mode, of those asked
  /// for.
  int64_t taken_bytes() const;

  /// Keeps the pages of tensors that were copied from the map resident. By default they are
  /// released (see Checkpoint::release), so that a host needs memory for the model's copy of the
  /// weights but not for the file as well; keeping them spares reading them again where several
  /// readers follow each other.
  void keep_pages() const;
  /// Drops them from the system's page cache as well. For files that do not fit the memory beside
  /// the weights: the cache could not keep them anyway, and full of them it leaves no free memory
  /// in large pages, of which a processor reads weights up to three times as fast.
  void forget_pages() const;

  /// The tensor `name` of shape `shape`, contiguous, converted to the reader's device and dtype. It
  /// owns its memory or keeps the file's map alive, which is read-only: weights are never written
  /// in place. For another device the narrower of the two dtypes travels: a tensor that is stored
  /// in a narrower one (or the same) goes there straight from the map and is converted there, a
  /// wider one is converted on the host first, which takes memory for this one tensor.
  /// Undefined when missing. Error for another shape, for 8-bit floating-point weights, whose
  /// scales are kept elsewhere, and for types that torch does not have.
  at::Tensor take(std::string_view name, c10::IntArrayRef shape) const;

  /// Says that a tensor that was taken is no longer read where it lies in the file (its values were
  /// copied into another): its pages need not stay resident, unless keep_pages() was called.
  void release(std::string_view name) const;

  /// Whether the checkpoint has a tensor, and its shape there; neither counts as asking for it.
  bool has(std::string_view name) const;
  std::optional<std::vector<int64_t>> shape(std::string_view name) const;

  /// Tensors that may be left over: a pattern within this scope, in which `*` stands for any text
  /// ("post_layernorm.*"). Buffers that models compute for themselves (`*.rotary_emb.inv_freq`,
  /// `*.position_ids`) are always ignored.
  void ignore(std::string_view pattern) const;

  /// What does not fit so far. Meaningful once the whole model has taken its tensors.
  WeightReport report() const;
  /// Throws one Error that names the missing tensors (and in dry mode those of a wrong shape), and
  /// those left over; at most eight of each kind and the number of the others.
  void finish() const;

  c10::Device device() const;
  c10::ScalarType dtype() const;
  bool dry() const;

 private:
  struct Account;
  WeightReader(std::shared_ptr<Account> account, std::string prefix)
      : account_(std::move(account)), prefix_(std::move(prefix)) {}
  at::Tensor draw(const std::string& full_name, c10::IntArrayRef shape) const;
  at::Tensor take_present(const std::string& full_name, c10::IntArrayRef shape) const;

  std::shared_ptr<Account> account_;
  std::string prefix_;
};

}  // namespace elastikv
