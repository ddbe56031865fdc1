#include "kernels/linear.h"

#include <optional>
#include <string_view>
#include <utility>

#include <ATen/Context.h>
#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/linear.h>
#include <c10/core/Scalar.h>

#include "base/error.h"
#include "kernels/cpu/weight_memory.h"

namespace elastikv {
namespace {

// oneDNN's packed linear has no header of its own in ATen; it is reached through the dispatcher by
// its schema.
using PackWeight = at::Tensor(const at::Tensor&, std::optional<c10::SymInt>);
using PackedLinear = at::Tensor(const at::Tensor&, const at::Tensor&,
                                const std::optional<at::Tensor>&, std::string_view,
                                c10::List<std::optional<c10::Scalar>>,
                                std::optional<std::string_view>);

/// Rows up to which reading the weights costs more than the arithmetic, so that our kernel beats
/// oneDNN's (measured with the shapes of SmolLM2-135M on two cores with AVX-512 and AMX). In bf16
/// oneDNN has matrix units for the arithmetic.
int64_t few_rows(c10::ScalarType dtype) { return dtype == at::kFloat ? 8 : 4; }

bool packs(const at::Tensor& weight) {
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

}  // namespace

Linear::Linear(const at::Tensor& weight, at::Tensor bias, LinearMemory memory)
    : weight_(weight), bias_(std::move(bias)), out_features_(weight.size(0)) {
  ELASTIKV_ASSERT(weight.dim() == 2, "a linear weight has {} dimensions", weight.dim());
  if (!packs(weight)) return;
  own_kernel_ = true;
  if (memory == LinearMemory::kSmall) {
    weight_ = weight.contiguous();
    return;
  }
  packed_ = pack(weight.contiguous());
  weight_ = cpu::in_huge_pages(weight.contiguous());
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  if (has_few_rows(x)) return cpu::few_rows_linear(x, weight_, bias_);
  if (packed_.defined()) return packed_linear(x, packed_, bias_);
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
