#include "kernels/merge.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "base/error.h"
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/clones.h"

namespace elastikv::cpu {
namespace {

/// Which sources join which anchor, in their order.
struct Groups {
  std::vector<int64_t> begin;    // [anchors + 1]
  std::vector<int64_t> sources;  // [merges]: indices into MergeRows::source
};

Groups group_sources(const MergeRows& rows, int64_t anchors) {
  Groups groups;
  groups.begin.assign(static_cast<size_t>(anchors) + 1, 0);
  if (!rows.source.defined()) return groups;
  const auto* anchor = rows.anchor.const_data_ptr<int64_t>();
  const int64_t merges = rows.source.size(0);
  for (int64_t i = 0; i < merges; ++i) ++groups.begin[static_cast<size_t>(anchor[i]) + 1];
  for (size_t a = 1; a < groups.begin.size(); ++a) groups.begin[a] += groups.begin[a - 1];
  std::vector<int64_t> next(groups.begin.begin(), groups.begin.end() - 1);
  groups.sources.resize(static_cast<size_t>(merges));
  for (int64_t i = 0; i < merges; ++i)
    groups.sources[static_cast<size_t>(next[static_cast<size_t>(anchor[i])]++)] = i;
  return groups;
}

/// One anchor of one head.
struct Task {
  const void* head;             // [slots, stride]
  const int64_t* sources;       // slots by index of the merge
  const int64_t* members;       // [count]: merges of this anchor
  const float* source_weights;  // by merge, or null: 1
  const int64_t* turns;         // by merge, or null
  const float* cos;             // [positions, size] of the rotary table
  const float* sin;             // first half negated
  int64_t count;
  int64_t kept;
  float weight;
  bool mean;
  int64_t stride;
  int64_t size;
  float* sums;  // [size]
  void* out;    // [size]
};

template <typename T>
inline __attribute__((always_inline)) void merge(const Task& task) {
  const T* head = static_cast<const T*>(task.head);
  const T* own = head + task.kept * task.stride;
  T* out = static_cast<T*>(task.out);
  float* sums = task.sums;
  float total = task.weight;
  for (int64_t d = 0; d < task.size; ++d) sums[d] = widen(own[d]) * task.weight;
  for (int64_t i = 0; i < task.count; ++i) {
    const int64_t index = task.members[i];
    const float weight = task.source_weights == nullptr ? 1.0F : task.source_weights[index];
    const T* source = head + task.sources[index] * task.stride;
    total += weight;
    if (task.turns == nullptr) {
      for (int64_t d = 0; d < task.size; ++d) sums[d] += widen(source[d]) * weight;
      continue;
    }
    const int64_t turn = task.turns[index];
    const float sign = turn > 0 ? 1.0F : turn < 0 ? -1.0F : 0.0F;
    const float* cos = task.cos + std::abs(turn) * task.size;
    const float* sin = task.sin + std::abs(turn) * task.size;
    const int64_t half = task.size / 2;
    for (int64_t d = 0; d < half; ++d) {
      const float a = widen(source[d]);
      const float b = widen(source[d + half]);
      sums[d] += (a * cos[d] + b * (sin[d] * sign)) * weight;
      sums[d + half] += (b * cos[d + half] + a * (sin[d + half] * sign)) * weight;
    }
  }
  if (task.mean) {
    // Sources without weight leave an anchor as it is, bit for bit.
    if (total == task.weight) {
      std::memcpy(out, own, static_cast<size_t>(task.size) * sizeof(T));
      return;
    }
    for (int64_t d = 0; d < task.size; ++d) sums[d] /= total;
  }
  for (int64_t d = 0; d < task.size; ++d) narrow(sums[d], out[d]);
}

ELASTIKV_CPU_CLONES void merge_fp32(const Task& task) { merge<float>(task); }
ELASTIKV_CPU_CLONES void merge_bf16(const Task& task) { merge<uint16_t>(task); }

}  // namespace

at::Tensor gather_and_merge(const at::Tensor& x, const MergeRows& rows) {
  const int64_t heads = x.size(0);
  const int64_t anchors = rows.kept.size(0);
  const int64_t size = x.size(2);
  const bool wide = x.scalar_type() == at::kFloat;
  const auto element = static_cast<int64_t>(x.element_size());
  ELASTIKV_ASSERT(x.stride(2) == 1, "entries are not contiguous");
  ELASTIKV_ASSERT(!rows.source.defined() ||
                      (rows.anchor.defined() && rows.anchor.sizes() == rows.source.sizes()),
                  "every source needs an anchor");
  ELASTIKV_ASSERT(!rows.turns.defined() || rows.rotary != nullptr,
                  "keys are to be turned without a rotary table");
  const Groups groups = group_sources(rows, anchors);
  at::Tensor out = at::empty({heads, anchors, size}, x.options());
  const auto* kept = rows.kept.const_data_ptr<int64_t>();
  const float* weights =
      rows.anchor_weight.defined() ? rows.anchor_weight.const_data_ptr<float>() : nullptr;
  const bool scales = !rows.mean && weights != nullptr;
  // Below some thousand numbers a second thread costs more than it brings.
  const int64_t grain = std::max<int64_t>(1, 65536 / size);
  at::parallel_for(0, heads * anchors, grain, [&](int64_t begin, int64_t end) {
    std::vector<float> sums(static_cast<size_t>(size));
    for (int64_t index = begin; index < end; ++index) {
      const int64_t h = index / anchors;
      const int64_t a = index % anchors;
      const auto* head = static_cast<const char*>(x.const_data_ptr()) + h * x.stride(0) * element;
      char* to = static_cast<char*>(out.data_ptr()) + index * size * element;
      const int64_t first = groups.begin[static_cast<size_t>(a)];
      const int64_t count = groups.begin[static_cast<size_t>(a) + 1] - first;
      if (count == 0 && !scales) {
        std::memcpy(to, head + kept[a] * x.stride(1) * element,
                    static_cast<size_t>(size * element));
        continue;
      }
      Task task{};
      task.head = head;
      task.count = count;
      if (count > 0) {
        task.sources = rows.source.const_data_ptr<int64_t>();
        task.members = groups.sources.data() + first;
        if (rows.source_weight.defined())
          task.source_weights = rows.source_weight.const_data_ptr<float>();
        if (rows.turns.defined()) {
          task.turns = rows.turns.const_data_ptr<int64_t>();
          task.cos = rows.rotary->cos().const_data_ptr<float>();
          task.sin = rows.rotary->sin().const_data_ptr<float>();
        }
      }
      task.kept = kept[a];
      task.weight = weights == nullptr ? 1.0F : weights[a];
      task.mean = rows.mean;
      task.stride = x.stride(1);
      task.size = size;
      task.sums = sums.data();
      task.out = to;
      (wide ? merge_fp32 : merge_bf16)(task);
    }
  });
  return out;
}

}  // namespace elastikv::cpu
