#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "kernels/device_graph.h"
#include "kernels/rotary.h"
#include "kernels/transfer.h"

namespace elastikv {

/// What the kernels of a decode step depend on beside what lies in its inputs.
struct StepShape {
  int64_t rows = 0;
  bool weights = false;                             ///< whether a row asks for attention rows
  bool query_scales = false;                        ///< whether queries are scaled
  std::vector<const RotaryTable*> rotary_tables{};  ///< [rows]
  std::vector<int64_t> longest{};                   ///< [layers]: slots of the longest head
};

/// Decode steps of one model as graphs: all that its layers launch becomes one launch. Everything
/// that changes from step to step (tokens, positions, where caches and attention rows lie) reaches
/// the kernels through the step's inputs, which a graph finds at one place, so a cache may be
/// allocated anew and other sequences may come. Another graph is needed for another number of rows
/// and once a head has outgrown what the last one has room for.
///
/// A shape is recorded once kStepsBefore steps of it have run by themselves. They bring along what
/// happens once (handles, workspaces, code that is loaded). And if recording takes about as long as
/// they do, which no GPU has shown yet, no run is twice as long as with the best choice.
class DecodeGraphs {
 public:
  static constexpr int64_t kStepsBefore = 3;
  /// Kept at a time, of those that were launched last: each holds its step's logits.
  static constexpr int64_t kMost = 32;

  /// Null where the device records no graphs.
  static std::unique_ptr<DecodeGraphs> on(c10::Device device);

  /// The layers of a step over its inputs on the device, with room for so many slots [layers];
  /// returns logits. They must launch the same for all steps of a shape, and do nothing beside.
  using Layers =
      std::function<at::Tensor(const at::Tensor& inputs, const std::vector<int64_t>& room)>;
  /// Runs a step: by a graph, or by calling `layers`. `inputs`: as large for all steps of a shape.
  at::Tensor run(const StepShape& shape, const Upload& inputs, const Layers& layers);

  struct Counts {
    int64_t recorded = 0;
    int64_t launched = 0;  ///< steps that were a graph's
    int64_t direct = 0;    ///< steps that were not
  };
  const Counts& counts() const { return counts_; }

 private:
  /// A shape's steps; with a graph, `shape.longest` is what that has room for.
  struct Entry {
    StepShape shape;
    int64_t direct = 0;
    at::Tensor inputs{};
    at::Tensor logits{};
    std::unique_ptr<DeviceGraph> graph{};  // gone before its tensors
  };

  DecodeGraphs(c10::Device device, std::unique_ptr<GraphRecorder> recorder);
  /// What is known of such steps, put to the front.
  Entry& entry_of(const StepShape& shape);
  /// False where memory is short.
  bool record(Entry& entry, const StepShape& shape, const Upload& inputs, const Layers& layers);

  c10::Device device_;
  std::unique_ptr<GraphRecorder> recorder_;  // null once memory was short
  std::list<Entry> entries_;                 // the last one used first
  Counts counts_;
};

}  // namespace elastikv
