#pragma once

#include <ATen/core/CachingHostAllocator.h>
#include <c10/core/CachingDeviceAllocator.h>

namespace elastikv::emulated {

/// Device memory as LibTorch asks for it. A new block holds NaNs; a block that is freed is given
/// out again at once, which is right as long as all work goes through one stream.
c10::DeviceAllocator& device_allocator();

/// Pinned host memory: what the stream reads and writes without the host's waiting. A block that is
/// freed stays until the work that was queued before has run, as LibTorch's own pinned blocks do.
at::HostAllocator& pinned_allocator();
bool is_pinned(const void* address);

}  // namespace elastikv::emulated
