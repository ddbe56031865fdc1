#pragma once

#include <cstdint>
#include <string>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace elastikv {

/// Returns once the device has done all work that was given to it; at once on the CPU.
void synchronize(c10::Device device);

/// Bytes that can still be allocated: on the CPU the system's MemAvailable, or what the control
/// groups leave (control_group_room) if that is less; on a GPU what is free there or held free by
/// the allocator.
int64_t available_bytes(c10::Device device);

/// Bytes of the process's resident set; 0 on a system that does not tell.
int64_t resident_bytes();

/// Peak memory of one stretch of work. On the CPU the resident set of the process: free heap is
/// handed back and the peak reset first, so that the difference to the beginning is what the
/// stretch took. On a GPU the bytes in live allocations.
class PeakMemory {
 public:
  /// Begins a stretch.
  explicit PeakMemory(c10::Device device);
  /// Bytes at the beginning.
  int64_t before() const { return before_; }
  /// Highest so far, the beginning included; 0 on a system that does not tell.
  int64_t peak() const;

 private:
  c10::Device device_;
  int64_t before_ = 0;
};

/// Memory bandwidth as this program can have it, the best of several passes with all threads.
struct Bandwidth {
  int64_t buffer_bytes = 0;
  double read_bytes_per_second = 0;  ///< a sum over the buffer; on a GPU equal to the copy's
  double copy_bytes_per_second = 0;  ///< bytes read and bytes written of a copy

  /// What bounds a decode step, which reads weights and caches and writes next to nothing.
  double bound() const { return read_bytes_per_second; }
  /// Of two measurements the better one of each kind.
  void take_better(const Bandwidth& other);
};

/// `working_set`: the bytes that a step reads. A buffer as large is used (but between 64 MiB and 2
/// GiB, and at most a quarter of what is available), since weights that fit a cache of the CPU are
/// read faster than memory.
Bandwidth measure_bandwidth(c10::Device device, int64_t working_set);

/// Rows of a product whose time is all arithmetic.
constexpr int64_t kManyRows = 512;

/// Operations (a multiplication and an addition are two) per second of linear layers over so many
/// rows, their weights read from memory; the best of several passes with all threads.
double measure_arithmetic(c10::Device device, c10::ScalarType dtype, int64_t rows);

/// What work on a machine is bound by.
struct MachineRates {
  double operations_per_second = 0;  ///< over many rows
  double bytes_per_second = 0;
  std::string source;  ///< "measured on Intel(R) Xeon(R) Processor"
};
/// Measures a device that is there, about a second; for a GPU that is not, half of what the data
/// sheet of an NVIDIA A100 80 GB says, and says so.
MachineRates rates_of(c10::Device device, c10::ScalarType dtype);

/// "Intel(R) Xeon(R) Processor", "NVIDIA H200"; "unknown" when the system does not tell.
std::string processor_name(c10::Device device);

/// "13.0, driver for 13.1": CUDA's version and the newest that the driver knows; "none" in a build
/// without CUDA.
std::string cuda_version();

/// LibTorch's version.
std::string libtorch_version();

}  // namespace elastikv
