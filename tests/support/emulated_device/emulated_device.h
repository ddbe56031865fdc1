#pragma once

#include <cstdint>

#include <c10/core/Device.h>

#include "support/emulated_device/counters.h"

/// A device that behaves like a GPU on any machine: `--device emulated`, LibTorch's PrivateUse1.
///
/// - Its memory is closed to the host: whoever touches it dies with the name of the place
///   (memory.h, fault.h). A new block holds NaNs. A limit can be set; beyond it allocation throws
///   c10::OutOfMemoryError.
/// - Its stream is asynchronous: operators, kernels, copies within the device, and copies to and
///   from pinned memory that do not block, are queued; they run, in order, when the host waits for
///   the device (stream.h). Blocking copies, numbers taken with item(), and operators whose shapes
///   depend on numbers wait. Operators that draw random numbers run at once.
/// - An operator that mixes devices fails as on CUDA (fallback.h).
/// - It counts launches, copies and waits (counters.h), and memory as LibTorch's allocators do.
/// - It records graphs (graph.h).
/// - The kernels of lib/kernels/cuda run on it, launched by their own wrappers
///   (support/cuda_emulation.h). Other operators run as the CPU's, in the stream.
namespace elastikv::emulated {

/// Makes the device known to LibTorch and to lib/kernels, once.
void install();
c10::Device device();

/// Since the program's beginning; the difference of two is what lies between.
Counters counted();

/// Puts a limit on the device's memory while it lives.
class MemoryLimit {
 public:
  explicit MemoryLimit(int64_t bytes);
  ~MemoryLimit();
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

 private:
  int64_t before_ = 0;
};

}  // namespace elastikv::emulated
