#include "support/emulated_device/operators.h"

#include <optional>

#include <ATen/EmptyTensor.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <torch/library.h>

#include "support/emulated_device/allocators.h"
#include "support/emulated_device/copies.h"
#include "support/emulated_device/fallback.h"
#include "support/emulated_device/fused_attention.h"
#include "support/emulated_device/resize.h"

namespace elastikv::emulated {
namespace {

const c10::DispatchKeySet kKeys(c10::DispatchKey::PrivateUse1);

at::Tensor empty(c10::IntArrayRef sizes, std::optional<c10::ScalarType> dtype,
                 std::optional<c10::Layout> /*layout*/, std::optional<c10::Device> /*device*/,
                 std::optional<bool> pinned, std::optional<c10::MemoryFormat> format) {
  TORCH_CHECK(!c10::pinned_memory_or_default(pinned), "Only dense CPU tensors can be pinned");
  return at::detail::empty_generic(sizes, &device_allocator(), kKeys, c10::dtype_or_default(dtype),
                                   format);
}

at::Tensor empty_strided(c10::IntArrayRef sizes, c10::IntArrayRef strides,
                         std::optional<c10::ScalarType> dtype,
                         std::optional<c10::Layout> /*layout*/,
                         std::optional<c10::Device> /*device*/, std::optional<bool> /*pinned*/) {
  return at::detail::empty_strided_generic(sizes, strides, &device_allocator(), kKeys,
                                           c10::dtype_or_default(dtype));
}

const at::Tensor& resize(const at::Tensor& self, c10::IntArrayRef sizes,
                         std::optional<c10::MemoryFormat> /*format*/) {
  resize_tensor(self, sizes);
  return self;
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  copy(from, to, non_blocking);
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  to.resize_(from.sizes());
  copy(from, to, /*non_blocking=*/false);
  return to;
}

at::Tensor& set_source(at::Tensor& self, at::Storage source, int64_t offset, c10::IntArrayRef sizes,
                       c10::IntArrayRef strides) {
  return at::native::set_storage_cpu_(self, std::move(source), offset, sizes, strides);
}

}  // namespace

void register_operators() {
  // As long as they live the dispatcher knows of them.
  static auto* operators = new torch::Library(torch::Library::IMPL, "aten",
                                              c10::DispatchKey::PrivateUse1, __FILE__, __LINE__);
  static auto* others = new torch::Library(torch::Library::IMPL, "_", c10::DispatchKey::PrivateUse1,
                                           __FILE__, __LINE__);
  operators->impl("empty.memory_format", &empty);
  operators->impl("empty_strided", &empty_strided);
  operators->impl("as_strided", &at::native::as_strided_tensorimpl);
  operators->impl("view", &at::native::view);
  operators->impl("_reshape_alias", &at::native::_reshape_alias);
  operators->impl("unfold", &at::native::unfold);
  operators->impl("resize_", &resize);
  operators->impl("set_.source_Storage_storage_offset", &set_source);
  operators->impl("_copy_from", &copy_from);
  operators->impl("_copy_from_and_resize", &copy_from_and_resize);
  operators->impl("_local_scalar_dense", &to_number);
  register_fused_attention(*operators);
  // Without this LibTorch takes it apart into operators that CUDA does not launch.
  operators->impl("native_layer_norm", torch::CppFunction::makeFromBoxedFunction<&run_operator>());
  others->fallback(torch::CppFunction::makeFromBoxedFunction<&run_operator>());
}

}  // namespace elastikv::emulated
