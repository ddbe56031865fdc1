#include "support/emulated_device/emulated_device.h"

#include <functional>
#include <mutex>
#include <utility>

#include <ATen/Context.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include "kernels/accelerator.h"
#include "kernels/cuda/accelerator.h"
#include "support/cuda_emulation.h"
#include "support/emulated_device/allocators.h"
#include "support/emulated_device/graph.h"
#include "support/emulated_device/guard.h"
#include "support/emulated_device/hooks.h"
#include "support/emulated_device/memory.h"
#include "support/emulated_device/operators.h"
#include "support/emulated_device/stream.h"

namespace elastikv::emulated {
namespace {

constexpr auto kType = c10::DeviceType::PrivateUse1;

void launch(std::function<void()> kernel) { Stream::instance().launch(std::move(kernel)); }

void install_once() {
  c10::register_privateuse1_backend("emulated");
  c10::SetAllocator(kType, &device_allocator());
  at::setHostAllocator(kType, &pinned_allocator());
  const c10::impl::DeviceGuardImplRegistrar registrar(kType, &guard());
  at::RegisterPrivateUse1HooksInterface(&hooks());
  register_operators();
  at::globalContext().lazyInitDevice(kType);
  cuda_emulation::set_launcher(&launch);
  static const Accelerator with_graphs = [] {
    Accelerator all = cuda::accelerator();
    all.graph_recorder = graph_recorder;
    return all;
  }();
  set_accelerator(kType, with_graphs);
}

}  // namespace

void install() {
  static std::once_flag once;
  std::call_once(once, install_once);
}

c10::Device device() { return {kType, 0}; }

Counters counted() { return Stream::instance().counters(); }

MemoryLimit::MemoryLimit(int64_t bytes) : before_(Memory::instance().usage().limit) {
  Memory::instance().set_limit(bytes);
}
MemoryLimit::~MemoryLimit() { Memory::instance().set_limit(before_); }

}  // namespace elastikv::emulated
