#include "kernels/cuda/accelerator.h"

#include "kernels/cuda/chunk_attention.h"
#include "kernels/cuda/decode_attention.h"
#include "kernels/cuda/merge.h"
#include "kernels/cuda/prefill_attention.h"

namespace elastikv::cuda {

const Accelerator& accelerator() {
  static constexpr Accelerator kAccelerator{
      .has_prefill_attention = has_prefill_attention,
      .attention_and_lse = attention_and_lse,
      .only_columns = only_columns,
      .column_statistics = column_statistics,
      .has_decode_attention = has_decode_attention,
      .decode_attention = decode_attention,
      .has_chunk_attention = has_chunk_attention,
      .chunk_attention = chunk_attention,
      .gather_and_merge = gather_and_merge,
  };
  return kAccelerator;
}

}  // namespace elastikv::cuda
