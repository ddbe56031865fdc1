#include "kernels/linear.h"

#include <optional>
#include <string_view>
#include <utility>

#include <ATen/Context.h>
#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/linspace.h>
#include <c10/core/Scalar.h>

#include "base/error.h"
#include "kernels/cpu/weight_memory.h"

namespace elastikv {
namespace {

// oneDNN's packed linear has no header of its own in ATen; it is reached through the dispatcher by
// its schema.
using IsSupported = bool();
using PackWeight = at::Tensor(const at::Tensor&, std::optional<c10::SymInt>);
using PackedLinear = at::Tensor(const at::Tensor&, const at::Tensor&,
                                const std::optional<at::Tensor>&, std::string_view,
                                c10::List<std::optional<c10::Scalar>>,
                                std::optional<std::string_view>);

/// Rows up to which reading the weights costs more than the arithmetic, so that our kernel beats
/// oneDNN's (measured with the shapes of SmolLM2-135M on two cores with AVX-512 and AMX). In bf16
/// oneDNN has matrix units for the arithmetic.
int64_t few_rows(c10::ScalarType dtype) { return dtype == at::kFloat ? 8 : 4; }

/// oneDNN refuses to pack bf16 weights on processors without AVX-512 or AVX-NE-CONVERT, as most
/// laptops are.
bool packs_bf16() {
  static const bool supported = c10::Dispatcher::singleton()
                                    .findSchemaOrThrow("mkldnn::_is_mkldnn_bf16_supported", "")
                                    .typed<IsSupported>()
                                    .call();
  return supported;
}

bool has_kernel(const at::Tensor& weight) {
  const at::ScalarType dtype = weight.scalar_type();
  return weight.is_cpu() && at::globalContext().userEnabledMkldnn() && at::hasMKLDNN() &&
         (dtype == at::kFloat || dtype == at::kBFloat16);
}

at::Tensor pack(const at::Tensor& weight) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mkldnn::_reorder_linear_weight", "")
                             .typed<PackWeight>();
  return op.call(weight, std::nullopt);
}

at::Tensor packed_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                             .typed<PackedLinear>();
  return op.call(x, weight, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt, "none",
                 c10::List<std::optional<c10::Scalar>>(), std::nullopt);
}

/// Whether equal rows get equal bits in a packed product of `rows` rows.
bool equal_rows_are_equal(int64_t rows) {
  const int64_t width = 64;
  const at::Tensor x = at::linspace(-1, 1, width).sin().expand({rows, width}).contiguous();
  const at::Tensor y =
      packed_linear(x, pack(at::linspace(-3, 3, width * width).cos().view({width, width})), {});
  return y.equal(y[0].expand_as(y));
}

/// A packed fp32 product takes a multiple of this many rows. With AVX2, oneDNN's kernel does six
/// rows at a time, of many rows in two halves, and sums in another order when one to three are left
/// over, so that some sequences of a batch would get other bits than the others.
int64_t row_block() {
  constexpr int64_t kAvx2Block = 12;
  static const int64_t block = equal_rows_are_equal(kAvx2Block + 1) ? 1 : kAvx2Block;
  return block;
}

at::Tensor packed_linear_in_blocks(const at::Tensor& x, const at::Tensor& weight,
                                   const at::Tensor& bias) {
  if (x.dim() != 2 || x.scalar_type() != at::kFloat) return packed_linear(x, weight, bias);
  const int64_t rows = x.size(0);
  const int64_t missing = (row_block() - rows % row_block()) % row_block();
  if (missing == 0) return packed_linear(x, weight, bias);
  return packed_linear(at::constant_pad_nd(x, {0, 0, 0, missing}), weight, bias).narrow(0, 0, rows);
}

}  // namespace

Linear::Linear(const at::Tensor& weight, at::Tensor bias, LinearMemory memory)
    : weight_(weight), bias_(std::move(bias)), out_features_(weight.size(0)) {
  ELASTIKV_ASSERT(weight.dim() == 2, "a linear weight has {} dimensions", weight.dim());
  if (!has_kernel(weight)) return;
  own_kernel_ = true;
  weight_ = weight.contiguous();
  if (memory == LinearMemory::kSmall) return;
  if (weight.scalar_type() == at::kFloat || packs_bf16()) packed_ = pack(weight_);
  weight_ = cpu::in_huge_pages(weight_);
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  if (has_few_rows(x)) return cpu::few_rows_linear(x, weight_, bias_);
  if (packed_.defined()) return packed_linear_in_blocks(x, packed_, bias_);
  return at::linear(x, weight_, bias_.defined() ? std::optional<at::Tensor>(bias_) : std::nullopt);
}

void Linear::add_to(const at::Tensor& residual, const at::Tensor& x) const {
  if (has_few_rows(x)) {
    cpu::few_rows_linear(x, weight_, bias_, residual);
  } else {
    residual.add_((*this)(x));
  }
}

bool Linear::has_few_rows(const at::Tensor& x) const {
  return own_kernel_ && x.dim() == 2 && x.size(0) <= few_rows(weight_.scalar_type());
}

}  // namespace elastikv
