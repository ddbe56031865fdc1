#include "support/emulated_device/fused_attention.h"

#include <limits>
#include <tuple>

#include <ATen/native/transformers/attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/empty.h>

#include "support/emulated_device/host_view.h"
#include "support/emulated_device/memory.h"
#include "support/emulated_device/stream.h"

namespace elastikv::emulated {
namespace {

/// Rows of a log-sum-exp that the memory-efficient kernel writes come in so many.
constexpr int64_t kRowsTogether = 32;

struct Attention {
  at::Tensor output;  // [batch, heads, tokens, head_dim], tokens outermost in memory
  at::Tensor lse;     // f32 [batch, heads, rows]
};

Attention attend(const char* name, const at::Tensor& queries, const at::Tensor& keys,
                 const at::Tensor& values, bool causal, std::optional<double> scale,
                 int64_t rows_together) {
  for (const at::Tensor* x : {&queries, &keys, &values}) {
    TORCH_CHECK(is_emulated(x->device()), "Expected all tensors to be on the same device, but ",
                name, " was given one on ", x->device());
  }
  const int64_t tokens = queries.size(2);
  const int64_t rows = (tokens + rows_together - 1) / rows_together * rows_together;
  Attention result;
  result.output =
      at::empty({queries.size(0), tokens, queries.size(1), values.size(3)}, queries.options())
          .transpose(1, 2);
  result.lse =
      at::empty({queries.size(0), queries.size(1), rows}, queries.options().dtype(at::kFloat));
  for (const at::Tensor* x : {&result.output, &result.lse})
    Memory::instance().name_writer(x->const_data_ptr(), name);
  Stream::instance().launch([q = host_view(queries), k = host_view(keys), v = host_view(values),
                             output = host_view(result.output), lse = host_view(result.lse), causal,
                             scale, tokens] {
    const auto [attended, sums] = at::_scaled_dot_product_flash_attention_for_cpu(
        q, k, v, /*dropout_p=*/0.0, causal, /*attn_mask=*/std::nullopt, scale);
    output.copy_(attended);
    lse.fill_(std::numeric_limits<float>::infinity());
    lse.narrow(2, 0, tokens).copy_(sums);
  });
  return result;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> efficient_attention(
    const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
    const std::optional<at::Tensor>& bias, bool /*compute_lse*/, double /*dropout*/, bool causal,
    std::optional<double> scale) {
  TORCH_CHECK(!bias.has_value() || !bias->defined(), "no emulated attention has a bias");
  const Attention result = attend("aten::_scaled_dot_product_efficient_attention", queries, keys,
                                  values, causal, scale, kRowsTogether);
  return {result.output, result.lse, at::Tensor(), at::Tensor()};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, c10::SymInt, c10::SymInt, at::Tensor,
           at::Tensor, at::Tensor>
flash_attention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                double /*dropout*/, bool causal, bool /*debug_mask*/, std::optional<double> scale) {
  TORCH_CHECK(queries.scalar_type() == at::kHalf || queries.scalar_type() == at::kBFloat16,
              "FlashAttention only supports fp16 and bf16 data type");
  const Attention result = attend("aten::_scaled_dot_product_flash_attention", queries, keys,
                                  values, causal, scale, /*rows_together=*/1);
  return {result.output,
          result.lse,
          at::Tensor(),
          at::Tensor(),
          c10::SymInt(queries.size(2)),
          c10::SymInt(keys.size(2)),
          at::Tensor(),
          at::Tensor(),
          at::Tensor()};
}

/// Which kernel scaled_dot_product_attention takes, as CUDA chooses.
int64_t chosen_kernel(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                      const std::optional<at::Tensor>& mask, double /*dropout*/, bool /*causal*/,
                      std::optional<double> /*scale*/, bool /*grouped*/) {
  const bool masked = mask.has_value() && mask->defined();
  const bool alike = keys.size(1) == queries.size(1) && values.size(3) == queries.size(3);
  if (masked || !alike || queries.dim() != 4) return static_cast<int64_t>(at::SDPBackend::math);
  const bool narrow = queries.scalar_type() != at::kFloat;
  if (narrow && queries.size(3) % 8 == 0 && queries.size(3) <= 256)
    return static_cast<int64_t>(at::SDPBackend::flash_attention);
  return static_cast<int64_t>(queries.size(3) % 4 == 0 ? at::SDPBackend::efficient_attention
                                                       : at::SDPBackend::math);
}

}  // namespace

void register_fused_attention(torch::Library& operators) {
  operators.impl("_scaled_dot_product_efficient_attention", &efficient_attention);
  operators.impl("_scaled_dot_product_flash_attention", &flash_attention);
  at::native::_fused_sdp_choice_stub.set_privateuse1_dispatch_ptr(&chosen_kernel);
}

}  // namespace elastikv::emulated
