#include "kernels/cuda/accelerator.h"

#include "kernels/cuda/chunk_attention.h"
#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/merge.h"
#include "kernels/cuda/prefill_attention.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/slot_attention.h"

namespace elastikv::cuda {

const Accelerator& accelerator() {
  static constexpr Accelerator kAccelerator{
      .has_prefill_attention = has_prefill_attention,
      .attention_and_lse = attention_and_lse,
      .only_columns = only_columns,
      .column_statistics = column_statistics,
      .has_slot_attention = has_slot_attention,
      .update_slots = update_slots,
      .rotate_and_append = rotate_and_append,
      .attend_slots = attend_slots,
      .join_slots = join_slots,
      .find_nearest = find_nearest,
      .has_elementwise = has_kernels,
      .rms_norm = rms_norm,
      .gated_silu = gated_silu,
      .has_chunk_attention = has_chunk_attention,
      .chunk_attention = chunk_attention,
      .gather_and_merge = gather_and_merge,
  };
  return kAccelerator;
}

}  // namespace elastikv::cuda
