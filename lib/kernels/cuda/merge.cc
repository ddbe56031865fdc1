#include "kernels/cuda/merge.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>

#include "base/error.h"
#include "kernels/cuda/runtime.h"
#include "kernels/transfer.h"

namespace elastikv::cuda {
namespace {

/// The order that sorts anchors on the CPU, of equals the earlier source first; empty where they
/// ascend already.
std::vector<int64_t> order_by_anchor(const at::Tensor& anchor) {
  const int64_t* a = anchor.const_data_ptr<int64_t>();
  if (std::is_sorted(a, a + anchor.numel())) return {};
  std::vector<int64_t> order(static_cast<size_t>(anchor.numel()));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [a](int64_t x, int64_t y) { return a[x] < a[y]; });
  return order;
}

template <typename T>
at::Tensor reordered(const at::Tensor& x, const std::vector<int64_t>& order) {
  at::Tensor result = at::empty(x.sizes(), x.options());
  const T* from = x.const_data_ptr<T>();
  T* to = result.data_ptr<T>();
  for (const int64_t i : order) *to++ = from[i];
  return result;
}

/// The tensors of a MergeRows on the device of the entries: those on the CPU travel together.
class Arguments {
 public:
  explicit Arguments(c10::Device device) : device_(device) {}

  template <typename T>
  void add(const at::Tensor& x, const T** pointer) {
    if (!x.defined()) return;
    const at::Tensor packed = x.to(c10::CppTypeToScalarType<T>::value).contiguous();
    held_.push_back(packed);
    if (packed.device() == device_) {
      *pointer = packed.const_data_ptr<T>();
      return;
    }
    const int64_t offset =
        upload_.add(packed.const_data_ptr(), static_cast<size_t>(packed.nbytes()));
    fill_in_.push_back(
        [pointer, offset](const at::Tensor& sent) { *pointer = part_of<T>(sent, offset); });
  }

  /// Sends what has to be sent and sets its pointers, which stay good as long as this object.
  void send() {
    if (fill_in_.empty()) return;
    held_.push_back(upload_.send(device_));
    for (const auto& fill_in : fill_in_) fill_in(held_.back());
  }

 private:
  c10::Device device_;
  Upload upload_;
  std::vector<at::Tensor> held_;
  std::vector<std::function<void(const at::Tensor&)>> fill_in_;
};

}  // namespace

at::Tensor gather_and_merge(const at::Tensor& x, const MergeRows& rows) {
  ELASTIKV_ASSERT(rows.kept.defined() && x.dim() == 3, "nothing to gather");
  const c10::DeviceGuard guard(x.device());
  const at::Tensor entries = x.stride(2) == 1 ? x : x.contiguous();
  const int64_t kept = rows.kept.size(0);
  at::Tensor output = at::empty({x.size(0), kept, x.size(2)}, x.options());
  if (output.numel() == 0) return output;

  MergeTask task;
  task.merges = rows.source.defined() ? rows.source.numel() : 0;
  MergeRows sorted = rows;
  if (task.merges > 0) {
    ELASTIKV_ASSERT(rows.anchor.defined() && rows.anchor.sizes() == rows.source.sizes(),
                    "every source needs an anchor");
    ELASTIKV_ASSERT(!rows.turns.defined() || rows.rotary != nullptr,
                    "keys are to be turned without a rotary table");
    if (rows.anchor.is_cpu()) {
      const std::vector<int64_t> order = order_by_anchor(rows.anchor.contiguous());
      if (!order.empty()) {
        sorted.source = reordered<int64_t>(rows.source.cpu().contiguous(), order);
        sorted.anchor = reordered<int64_t>(rows.anchor.contiguous(), order);
        if (rows.source_weight.defined()) {
          sorted.source_weight =
              reordered<float>(rows.source_weight.to(at::kFloat).cpu().contiguous(), order);
        }
        if (rows.turns.defined())
          sorted.turns = reordered<int64_t>(rows.turns.cpu().contiguous(), order);
      }
    }
  }
  Arguments arguments(x.device());
  arguments.add(sorted.kept, &task.kept_slots);
  arguments.add(sorted.anchor_weight, &task.anchor_weight);
  if (task.merges > 0) {
    arguments.add(sorted.source, &task.source);
    arguments.add(sorted.anchor, &task.anchor);
    arguments.add(sorted.source_weight, &task.source_weight);
    arguments.add(sorted.turns, &task.turns);
  }
  arguments.send();
  if (task.turns != nullptr) {
    task.cos = rows.rotary->cos().const_data_ptr<float>();
    task.sin = rows.rotary->sin().const_data_ptr<float>();
  }
  task.x = entries.const_data_ptr();
  task.output = output.data_ptr();
  task.head_stride = entries.stride(0);
  task.slot_stride = entries.stride(1);
  task.kept = kept;
  task.heads = static_cast<int>(x.size(0));
  task.head_dim = static_cast<int>(x.size(2));
  task.mean = rows.mean;
  task.element = element_of(x.scalar_type());
  launch_gather_and_merge(task, current_stream(x.device()));
  return output;
}

}  // namespace elastikv::cuda
