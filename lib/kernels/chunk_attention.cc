#include "kernels/chunk_attention.h"

#include "kernels/accelerator.h"

namespace elastikv {

at::Tensor chunk_attention(const at::Tensor& queries, const std::vector<ChunkRow>& rows,
                           double scale) {
  const at::ScalarType dtype = queries.scalar_type();
  if (queries.is_cpu() && (dtype == at::kFloat || dtype == at::kBFloat16))
    return cpu::chunk_attention(queries, rows, scale);
  const Accelerator* accelerator = accelerator_of(queries.device());
  if (accelerator != nullptr && accelerator->has_chunk_attention(queries, rows))
    return accelerator->chunk_attention(queries, rows, scale);
  return reference::chunk_attention(queries, rows, scale);
}

}  // namespace elastikv
