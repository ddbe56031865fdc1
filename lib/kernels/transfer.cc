#include "kernels/transfer.h"

#include <cstring>

#include <ATen/ops/empty.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace elastikv {

at::Tensor sent(const at::Tensor& x, c10::Device device) {
  if (device.is_cpu()) return x;
  // ATen's pinned allocator hands a block out again only when the copy has passed.
  const at::Tensor pinned = at::empty(x.sizes(), x.options().pinned_memory(true));
  pinned.copy_(x);
  return pinned.to(device, /*non_blocking=*/true);
}

std::vector<at::Tensor> fetched(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> result;
  result.reserve(tensors.size());
  c10::Device device = c10::kCPU;
  for (const at::Tensor& x : tensors) {
    if (x.is_cpu()) {
      result.push_back(x);
      continue;
    }
    device = x.device();
    result.push_back(at::empty(x.sizes(), x.options().device(c10::kCPU).pinned_memory(true)));
    result.back().copy_(x, /*non_blocking=*/true);
  }
  if (!device.is_cpu()) {
    const c10::impl::VirtualGuardImpl guard(device.type());
    guard.synchronizeStream(guard.getStream(device));
  }
  return result;
}

int64_t Upload::add(const void* data, size_t bytes) {
  constexpr int64_t kAlign = 16;
  const int64_t offset = size_;
  parts_.push_back({data, bytes, offset});
  size_ += (static_cast<int64_t>(bytes) + kAlign - 1) / kAlign * kAlign;
  return offset;
}

at::Tensor Upload::allocate(c10::Device device) const {
  return at::empty({size_}, at::TensorOptions(at::kByte).device(device));
}

void Upload::send(const at::Tensor& to) const {
  const at::Tensor host = at::empty({size_}, at::TensorOptions(at::kByte).pinned_memory(true));
  auto* bytes = host.data_ptr<uint8_t>();
  for (const Part& part : parts_) {
    if (part.bytes > 0) std::memcpy(bytes + part.offset, part.data, part.bytes);
  }
  to.copy_(host, /*non_blocking=*/true);
}

at::Tensor Upload::send(c10::Device device) const {
  at::Tensor to = allocate(device);
  send(to);
  return to;
}

at::Tensor tensor_of(const at::Tensor& upload, int64_t offset, int64_t count,
                     c10::ScalarType dtype) {
  return upload.narrow(0, offset, count * static_cast<int64_t>(c10::elementSize(dtype)))
      .view(dtype);
}

}  // namespace elastikv
