#pragma once

#include <exception>

#include <c10/core/Device.h>

namespace elastikv {

/// Whether an exception shows that a device does not answer any more, so that nothing which is
/// computed after it means anything: an error of the accelerator's runtime or libraries that is not
/// out of memory, or any other after which the device fails to add two numbers (a kernel's illegal
/// access is told by whichever call comes next). A CPU is not asked.
bool is_device_lost(const std::exception& error, c10::Device device);

}  // namespace elastikv
