#pragma once

#include <memory>
#include <tuple>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "kernels/attention.h"
#include "kernels/chunk_attention.h"
#include "kernels/device_graph.h"
#include "kernels/merge.h"
#include "kernels/prefill_statistics.h"
#include "kernels/slot_attention.h"

namespace elastikv {

/// What a device beside the CPU computes by kernels of this program. All tensors of queries, keys,
/// values and entries are the device's.
struct Accelerator {
  /// Causal attention and its rows' log-sum-exp, for queries that it `has_` code for. See
  /// kernels/cuda/prefill_attention.h.
  bool (*has_prefill_attention)(const at::Tensor& queries);
  std::tuple<at::Tensor, at::Tensor> (*attention_and_lse)(const at::Tensor& queries,
                                                          const at::Tensor& keys,
                                                          const at::Tensor& values, double scale);
  /// Whether a request is one for column_statistics, and these.
  bool (*only_columns)(const PrefillRequest& request);
  PrefillStatistics (*column_statistics)(const at::Tensor& queries, const at::Tensor& keys,
                                         const at::Tensor& lse, double scale,
                                         const PrefillRequest& request);
  /// See kernels/cuda/slot_attention.h.
  bool (*has_slot_attention)(c10::ScalarType dtype, int64_t head_dim, bool turned);
  void (*update_slots)(const SentSlots& updates);
  void (*rotate_and_append)(const NewTokens& tokens, const RotaryTable::Angles& angles,
                            const SlotLayer& layer);
  at::Tensor (*attend_slots)(const at::Tensor& queries, const SlotLayer& layer, double scale);
  void (*join_slots)(const SentSlots& joins);
  at::Tensor (*find_nearest)(const SentSlots& queries);
  /// See kernels/norm.h and kernels/activation.h.
  bool (*has_elementwise)(c10::ScalarType dtype);
  at::Tensor (*rms_norm)(const at::Tensor& x, const at::Tensor& weight, double eps);
  at::Tensor (*gated_silu)(const at::Tensor& x);
  /// See kernels/cuda/chunk_attention.h.
  bool (*has_chunk_attention)(const at::Tensor& queries, const std::vector<ChunkRow>& rows);
  at::Tensor (*chunk_attention)(const at::Tensor& queries, const std::vector<ChunkRow>& rows,
                                double scale);
  /// See kernels/cuda/merge.h.
  at::Tensor (*gather_and_merge)(const at::Tensor& x, const MergeRows& rows);
  /// Null where the device has no graphs.
  std::unique_ptr<GraphRecorder> (*graph_recorder)(c10::Device device) = nullptr;
};

/// Null where a device has none: the CPU, and whatever plain ATen alone computes for.
const Accelerator* accelerator_of(c10::Device device);

/// Takes kernels for a type of devices: CUDA's are there in a build with CUDA. They are to live as
/// long as the program; to be called before anything is computed.
void set_accelerator(c10::DeviceType type, const Accelerator& accelerator);

}  // namespace elastikv
