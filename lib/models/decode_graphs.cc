#include "models/decode_graphs.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <ATen/ops/empty_like.h>
#include <c10/util/Exception.h>

#include "base/error.h"
#include "kernels/accelerator.h"

namespace elastikv {
namespace {

/// Slots that a graph has room for beyond those there: blocks without a slot end at once.
constexpr int64_t kMoreSlots = 256;

/// Whether steps have all in common but their slots.
bool are_alike(const StepShape& a, const StepShape& b) {
  return a.rows == b.rows && a.weights == b.weights && a.query_scales == b.query_scales &&
         a.rotary_tables == b.rotary_tables;
}

/// Whether a graph with room for so many slots serves for those that are there, and wastes no time
/// on the room.
bool fits(const std::vector<int64_t>& longest, const std::vector<int64_t>& room) {
  return std::equal(longest.begin(), longest.end(), room.begin(), room.end(),
                    [](int64_t slots, int64_t most) {
                      return slots <= most && most <= 2 * slots + 2 * kMoreSlots;
                    });
}

}  // namespace

std::unique_ptr<DecodeGraphs> DecodeGraphs::on(c10::Device device) {
  const Accelerator* accelerator = accelerator_of(device);
  if (accelerator == nullptr || accelerator->graph_recorder == nullptr) return nullptr;
  return std::unique_ptr<DecodeGraphs>(
      new DecodeGraphs(device, accelerator->graph_recorder(device)));
}

DecodeGraphs::DecodeGraphs(c10::Device device, std::unique_ptr<GraphRecorder> recorder)
    : device_(device), recorder_(std::move(recorder)) {}

DecodeGraphs::Entry& DecodeGraphs::entry_of(const StepShape& shape) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return are_alike(entry.shape, shape) &&
           (entry.graph == nullptr || fits(shape.longest, entry.shape.longest));
  });
  if (found != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, found);
    return entries_.front();
  }
  if (std::ssize(entries_) == kMost) entries_.pop_back();
  return entries_.emplace_front(Entry{.shape = shape});
}

bool DecodeGraphs::record(Entry& entry, const StepShape& shape, const Upload& inputs,
                          const Layers& layers) {
  std::vector<int64_t> room = shape.longest;
  for (int64_t& slots : room) slots += kMoreSlots;
  try {
    entry.inputs = inputs.allocate(device_);
    std::unique_ptr<DeviceGraph> graph =
        recorder_->record([&] { entry.logits = layers(entry.inputs, room); });
    at::empty_like(entry.logits);  // what a step takes beside it
    entry.graph = std::move(graph);
  } catch (const c10::OutOfMemoryError&) {
    entries_.clear();
    recorder_.reset();
    return false;
  }
  entry.shape.longest = std::move(room);
  ++counts_.recorded;
  return true;
}

at::Tensor DecodeGraphs::run(const StepShape& shape, const Upload& inputs, const Layers& layers) {
  const auto run_directly = [&] {
    ++counts_.direct;
    return layers(inputs.send(device_), shape.longest);
  };
  if (recorder_ == nullptr) return run_directly();
  Entry& entry = entry_of(shape);
  if (entry.graph == nullptr) {
    if (entry.direct++ < kStepsBefore || !record(entry, shape, inputs, layers))
      return run_directly();
  }
  ELASTIKV_ASSERT(entry.inputs.numel() == inputs.bytes(), "{} bytes of inputs for a graph of {}",
                  inputs.bytes(), entry.inputs.numel());
  inputs.send(entry.inputs);
  entry.graph->launch();
  ++counts_.launched;
  return entry.logits.clone();  // the next launch writes its own there
}

}  // namespace elastikv
