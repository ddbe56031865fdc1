#include "support/emulated_device/copies.h"

#include <cstring>

#include <ATen/ops/_local_scalar_dense.h>
#include <ATen/ops/empty.h>

#include "support/emulated_device/allocators.h"
#include "support/emulated_device/host_view.h"
#include "support/emulated_device/memory.h"
#include "support/emulated_device/stream.h"

namespace elastikv::emulated {
namespace {

void copy_on_device(const at::Tensor& from, const at::Tensor& to) {
  Stream::instance().launch([from = host_view(from), to = host_view(to)] { to.copy_(from); });
}

/// Both contiguous and of one dtype.
void send(const at::Tensor& host, const at::Tensor& device, bool non_blocking) {
  Stream& stream = Stream::instance();
  stream.require_not_recording("a copy from the host");
  const size_t bytes = host.nbytes();
  ++stream.counters().to_device_copies;
  stream.counters().to_device_bytes += static_cast<int64_t>(bytes);
  void* to = device.mutable_data_ptr();
  const void* from = host.const_data_ptr();
  if (non_blocking && is_pinned(from)) {
    stream.enqueue([to, from, bytes] { std::memcpy(to, from, bytes); });
    return;
  }
  stream.enqueue(
      [to, read = host.clone(), bytes] { std::memcpy(to, read.const_data_ptr(), bytes); });
  if (!non_blocking) stream.synchronise();
}

void fetch(const at::Tensor& device, const at::Tensor& host, bool non_blocking) {
  Stream& stream = Stream::instance();
  stream.require_not_recording("a copy to the host");
  const size_t bytes = host.nbytes();
  ++stream.counters().to_host_copies;
  stream.counters().to_host_bytes += static_cast<int64_t>(bytes);
  void* to = host.mutable_data_ptr();
  const void* from = device.const_data_ptr();
  stream.enqueue([to, from, bytes] { std::memcpy(to, from, bytes); });
  if (!non_blocking || !is_pinned(to)) stream.synchronise();
}

}  // namespace

void copy(const at::Tensor& given, const at::Tensor& to, bool non_blocking) {
  if (to.numel() == 0) return;
  if (is_emulated(to.device())) Memory::instance().name_writer(to.const_data_ptr(), "aten::copy_");
  const at::Tensor from = given.sizes() == to.sizes() ? given : given.expand(to.sizes());
  if (from.device() == to.device()) {
    copy_on_device(from, to);
    return;
  }
  const at::Tensor same = from.to(to.scalar_type()).contiguous();
  const bool direct = to.is_contiguous();
  if (is_emulated(to.device())) {
    const at::Tensor sent = direct ? to : at::empty(to.sizes(), to.options());
    send(same, sent, non_blocking);
    if (!direct) copy_on_device(sent, to);
  } else if (direct) {
    fetch(same, to, non_blocking);
  } else {
    const at::Tensor fetched = at::empty(to.sizes(), to.options());
    fetch(same, fetched, /*non_blocking=*/false);
    to.copy_(fetched);
  }
}

at::Scalar to_number(const at::Tensor& tensor) {
  Stream& stream = Stream::instance();
  stream.require_not_recording("reading a number");
  ++stream.counters().to_host_copies;
  stream.counters().to_host_bytes += static_cast<int64_t>(tensor.element_size());
  stream.synchronise();
  at::Scalar number;
  stream.run([&] { number = at::_local_scalar_dense(host_view(tensor)); });
  return number;
}

}  // namespace elastikv::emulated
