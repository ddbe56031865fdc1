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

namespace elastikv {
namespace {

// oneDNN's packed linear has no header of its own in ATen; it is reached through the dispatcher by
// its schema.
using PackWeight = at::Tensor(const at::Tensor&, std::optional<c10::SymInt>);
using PackedLinear = at::Tensor(const at::Tensor&, const at::Tensor&,
                                const std::optional<at::Tensor>&, std::string_view,
                                c10::List<std::optional<c10::Scalar>>,
                                std::optional<std::string_view>);

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

Linear::Linear(const at::Tensor& weight, at::Tensor bias)
    : bias_(std::move(bias)), out_features_(weight.size(0)) {
  ELASTIKV_ASSERT(weight.dim() == 2, "a linear weight has {} dimensions", weight.dim());
  packed_ = packs(weight);
  weight_ = packed_ ? pack(weight.contiguous()) : weight;
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  return packed_ ? packed_linear(x, weight_, bias_)
                 : at::linear(x, weight_,
                              bias_.defined() ? std::optional<at::Tensor>(bias_) : std::nullopt);
}

}  // namespace elastikv
