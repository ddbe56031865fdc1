#include "support/emulated_device/host_view.h"

#include <ATen/ops/empty_strided.h>
#include <ATen/ops/from_blob.h>

namespace elastikv::emulated {

bool is_emulated(c10::Device device) { return device.type() == c10::DeviceType::PrivateUse1; }

at::Tensor host_view(const at::Tensor& tensor) {
  const auto options = at::TensorOptions().dtype(tensor.scalar_type()).device(at::kCPU);
  if (tensor.numel() == 0) return at::empty_strided(tensor.sizes(), tensor.strides(), options);
  return at::from_blob(const_cast<void*>(tensor.const_data_ptr()), tensor.sizes(), tensor.strides(),
                       options);
}

}  // namespace elastikv::emulated
