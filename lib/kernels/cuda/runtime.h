#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "kernels/cuda/launch.h"
#include "kernels/entry_view.h"

namespace elastikv::cuda {

/// The stream that ATen's own kernels use on this device.
Stream current_stream(c10::Device device);

/// Whether the kernels have code for this dtype.
bool has_kernels(c10::ScalarType dtype);
/// InternalError for a dtype without kernels.
Element element_of(c10::ScalarType dtype);

/// Bytes that a thread reads at once.
constexpr int64_t kPiece = 16;

/// Whether `x` begins where a piece may.
bool is_aligned(const at::Tensor& x);
/// Whether threads can read these entries by pieces: of this dtype, each of whole pieces, in one
/// block of memory.
bool is_readable(const EntryView& entries, c10::ScalarType dtype);
EntryPointers pointers_of(const EntryView& entries);

/// Arrays that a kernel reads, packed into one pinned buffer that goes to the device in one copy;
/// the host does not wait for it.
class Upload {
 public:
  /// Reserves room for `bytes` and returns its offset, 16-byte aligned.
  int64_t add(const void* data, size_t bytes);
  template <typename T>
  int64_t add(const std::vector<T>& values) {
    return add(values.data(), values.size() * sizeof(T));
  }
  /// uint8 [bytes] on the device.
  at::Tensor send(c10::Device device) const;

 private:
  struct Part {
    const void* data;
    size_t bytes;
    int64_t offset;
  };
  std::vector<Part> parts_;
  int64_t size_ = 0;
};

/// What lies at an offset of an upload that was sent.
template <typename T>
const T* part_of(const at::Tensor& upload, int64_t offset) {
  return reinterpret_cast<const T*>(upload.const_data_ptr<uint8_t>() + offset);
}

}  // namespace elastikv::cuda
