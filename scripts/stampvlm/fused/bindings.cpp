// The layers as torch's tensors see them.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/utils/pybind.h>

#include "layers.h"

namespace {

using fused::bf16;

void check(const at::Tensor& tensor, at::IntArrayRef sizes, at::ScalarType type) {
  TORCH_CHECK(tensor.sizes() == sizes && tensor.scalar_type() == type && tensor.is_contiguous(),
              "expected a contiguous tensor of ", type, " and sizes ", sizes);
}

const bf16* halves(const at::Tensor& tensor) {
  return static_cast<const bf16*>(tensor.const_data_ptr());
}

void add_layer(fused::Layers& layers, const std::vector<at::Tensor>& norms,
               const std::vector<at::Tensor>& weights, const std::vector<long>& ranks) {
  TORCH_CHECK(
      norms.size() == 2 && weights.size() == fused::kGroups && ranks.size() == fused::kGroups,
      "a layer has 2 norms and 4 matrices");
  const fused::Shape& shape = layers.shape();
  const long sizes[fused::kGroups][2] = {{shape.heads.joint_width(), shape.hidden},
                                         {shape.hidden, shape.heads.width()},
                                         {2 * shape.inner, shape.hidden},
                                         {shape.hidden, shape.inner}};
  fused::Layer layer;
  for (std::size_t norm = 0; norm < 2; ++norm) {
    check(norms[norm], {shape.hidden}, at::kFloat);
    const float* values = norms[norm].const_data_ptr<float>();
    layer.norms[norm].assign(values, values + shape.hidden);
  }
  for (std::size_t group = 0; group < fused::kGroups; ++group) {
    check(weights[group], sizes[group], at::kFloat);
    layer.groups.emplace_back(weights[group].const_data_ptr<float>(), sizes[group][0],
                              sizes[group][1], ranks[group]);
  }
  layers.add(std::move(layer));
}

void set_update(fused::Layers& layers, std::size_t index, std::size_t group, const at::Tensor& down,
                const at::Tensor& up) {
  fused::Linear& linear = layers.layers().at(index).groups.at(group);
  check(down, {linear.own_rank, linear.inputs}, at::kFloat);
  check(up, {linear.outputs, linear.own_rank}, at::kFloat);
  linear.set_update(down.const_data_ptr<float>(), up.const_data_ptr<float>());
}

std::pair<at::Tensor, std::shared_ptr<fused::Saved>> forward(fused::Layers& layers,
                                                             const at::Tensor& x,
                                                             const at::Tensor& cos,
                                                             const at::Tensor& sin,
                                                             std::array<long, 4> layout_of) {
  const fused::Layout layout{layout_of[0], layout_of[1], layout_of[2], layout_of[3]};
  TORCH_CHECK(layout.prefix > 0, "a layout without a prefix");
  check(x, {layout.rows(), layers.shape().hidden}, at::kBFloat16);
  check(cos, {layout.rows(), fused::kWidth / 2}, at::kFloat);
  check(sin, {layout.rows(), fused::kWidth / 2}, at::kFloat);
  at::Tensor y = at::empty_like(x);
  auto saved = layers.forward(halves(x), cos.const_data_ptr<float>(), sin.const_data_ptr<float>(),
                              layout, static_cast<bf16*>(y.mutable_data_ptr()));
  return {y, saved};
}

// The gradient of x, and for each layer's groups that of down, [rank, inputs], and that of up,
// transposed, [rank, outputs].
std::pair<at::Tensor, std::vector<std::pair<at::Tensor, at::Tensor>>> backward(
    fused::Layers& layers, fused::Saved& saved, const at::Tensor& of_y) {
  check(of_y, {saved.layout.rows(), layers.shape().hidden}, at::kBFloat16);
  std::vector<std::pair<at::Tensor, at::Tensor>> results;
  std::vector<fused::UpdateGradient> sums;
  for (const fused::Layer& layer : layers.layers())
    for (const fused::Linear& linear : layer.groups) {
      const at::Tensor down = at::zeros({linear.rank, linear.inputs}, at::kFloat);
      const at::Tensor up = at::zeros({linear.rank, linear.outputs}, at::kFloat);
      sums.push_back({down.mutable_data_ptr<float>(), up.mutable_data_ptr<float>()});
      results.emplace_back(down.narrow(0, 0, linear.own_rank), up.narrow(0, 0, linear.own_rank));
    }
  at::Tensor of_x = at::empty_like(of_y);
  layers.backward(saved, halves(of_y), sums, static_cast<bf16*>(of_x.mutable_data_ptr()));
  return {of_x, std::move(results)};
}

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) {
  namespace py = pybind11;
  module.def("tiles_allowed", &fused::tiles_allowed);
  py::class_<fused::Saved, std::shared_ptr<fused::Saved>>(module, "Saved");
  py::class_<fused::Layers>(module, "Layers")
      .def(py::init([](long queries, long pairs, long hidden, long inner, float epsilon) {
        return std::make_unique<fused::Layers>(
            fused::Shape{{queries, pairs}, hidden, inner, epsilon});
      }))
      .def("add_layer", &add_layer)
      .def("set_update", &set_update)
      .def("forward", &forward, py::call_guard<py::gil_scoped_release>())
      .def("backward", &backward, py::call_guard<py::gil_scoped_release>());
}
