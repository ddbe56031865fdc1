#pragma once

#include <c10/core/impl/DeviceGuardImplInterface.h>

namespace elastikv::emulated {

/// Devices, streams and events for LibTorch's guards. There is one device; its streams have
/// numbers, but their work goes through the one Stream, which a GPU may do as well.
const c10::impl::DeviceGuardImplInterface& guard();

}  // namespace elastikv::emulated
