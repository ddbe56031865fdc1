#include "kernels/linear.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>

#include "base/error.h"
#include "base/stopwatch.h"
#include "kernels/cpu/bf16_pairs.h"
#include "kernels/cpu/matrix_unit.h"
#include "kernels/cpu/panel_linear.h"

namespace elastikv {
namespace {

std::optional<at::Tensor> optional(const at::Tensor& bias) {
  return bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt;
}

bool takes_panels(const at::Tensor& weight) {
  const at::ScalarType dtype = weight.scalar_type();
  return weight.is_cpu() && (dtype == at::kFloat || dtype == at::kBFloat16);
}

/// The product by LibTorch, over as many weights at a time as nearly fit a cache: turning them from
/// panels into rows is little beside the products of many rows.
at::Tensor library_linear(const at::Tensor& x, const cpu::PanelWeights& weights,
                          const at::Tensor& bias) {
  constexpr int64_t kElements = int64_t{1} << 22;
  const int64_t step = std::max<int64_t>(1, kElements / (weights.in() * cpu::kPanel)) * cpu::kPanel;
  at::Tensor y = at::empty({x.size(0), weights.out()}, x.options());
  for (int64_t begin = 0; begin < weights.out(); begin += step) {
    const int64_t end = std::min(begin + step, weights.out());
    const at::Tensor part = bias.defined() ? bias.narrow(0, begin, end - begin) : bias;
    y.narrow(1, begin, end - begin)
        .copy_(at::linear(x, weights.rows(begin, end, x.scalar_type()), optional(part)));
  }
  return y;
}

/// Fewer rows are never worth the turning.
constexpr int64_t kLibraryRows = 64;

bool library_is_faster(c10::ScalarType dtype) {
  constexpr int64_t kSide = 512;
  constexpr int64_t kRows = 256;
  constexpr double kMargin = 1.5;  // a choice that noise does not change
  const at::TensorOptions options(dtype);
  const cpu::PanelWeights weights({at::full({kSide, kSide}, 0.5, options)});
  const at::Tensor x = at::full({kRows, kSide}, 0.5, options);
  const auto best = [](const auto& product) {
    product();
    double seconds = 0;
    for (int i = 0; i < 3; ++i) {
      Stopwatch watch;
      product();
      const double lap = watch.lap();
      seconds = i == 0 ? lap : std::min(seconds, lap);
    }
    return seconds;
  };
  const double ours = best([&] { cpu::panel_linear(x, weights, {}); });
  const double library = best([&] { library_linear(x, weights, {}); });
  return library * kMargin < ours;
}

bool prompts_by_library(c10::ScalarType dtype) {
  if (dtype == at::kFloat) {
    static const bool fp32 = library_is_faster(at::kFloat);
    return fp32;
  }
  static const bool bf16 = library_is_faster(at::kBFloat16);
  return bf16;
}

}  // namespace

Linear::Linear(const at::Tensor& weight, at::Tensor bias)
    : Linear(std::vector<at::Tensor>{weight}, std::move(bias)) {}

Linear::Linear(const std::vector<at::Tensor>& weights, at::Tensor bias) : bias_(std::move(bias)) {
  ELASTIKV_ASSERT(!weights.empty(), "a linear layer without a weight");
  for (const at::Tensor& weight : weights) {
    ELASTIKV_ASSERT(weight.dim() == 2, "a linear weight has {} dimensions", weight.dim());
    out_features_ += weight.size(0);
  }
  copied_ = true;
  if (takes_panels(weights[0])) {
    std::vector<at::Tensor> parts;
    parts.reserve(weights.size());
    for (const at::Tensor& weight : weights) parts.push_back(weight.contiguous());
    panels_ = cpu::PanelWeights(parts);
  } else if (weights.size() > 1) {
    weight_ = at::cat(weights);
  } else {
    weight_ = weights[0];
    copied_ = false;
  }
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  if (!panels_.defined()) return at::linear(x, weight_, optional(bias_));
  if (x.dim() == 2) return cpu::panel_linear(x, panels_, bias_);
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = out_features_;
  return cpu::panel_linear(x.reshape({-1, x.size(-1)}), panels_, bias_).view(shape);
}

void Linear::add_to(const at::Tensor& residual, const at::Tensor& x) const {
  if (panels_.defined()) {
    cpu::panel_linear(x, panels_, bias_, residual);
  } else {
    residual.add_((*this)(x));
  }
}

at::Tensor Linear::of_prompt(const at::Tensor& x) const {
  return takes_library(x) ? library_linear(x, panels_, bias_) : (*this)(x);
}

void Linear::add_prompt_to(const at::Tensor& residual, const at::Tensor& x) const {
  if (takes_library(x)) {
    residual.add_(library_linear(x, panels_, bias_));
  } else {
    add_to(residual, x);
  }
}

bool Linear::takes_library(const at::Tensor& x) const {
  return panels_.defined() && x.dim() == 2 && x.size(0) >= kLibraryRows &&
         prompts_by_library(x.scalar_type());
}

const char* prompt_products(c10::ScalarType dtype) {
  if (prompts_by_library(dtype)) return "LibTorch";
  if (dtype != at::kBFloat16) return "elastikv";
  if (cpu::has_matrix_unit()) return "elastikv (AMX)";
  return cpu::has_bf16_pairs() ? "elastikv (AVX512_BF16)" : "elastikv";
}

}  // namespace elastikv
