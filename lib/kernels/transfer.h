#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace elastikv {

/// A tensor of the CPU's on a device, without waiting for it; itself where that is the CPU.
at::Tensor sent(const at::Tensor& x, c10::Device device);

/// Tensors on the CPU, those of a device by one wait for it.
std::vector<at::Tensor> fetched(const std::vector<at::Tensor>& tensors);

/// Arrays that a kernel reads, packed into one pinned buffer that goes to the device in one copy;
/// the host does not wait for it. What is added is read when it is sent.
class Upload {
 public:
  /// Reserves room for `bytes` and returns its offset, 16-byte aligned.
  int64_t add(const void* data, size_t bytes);
  template <typename T>
  int64_t add(const std::vector<T>& values) {
    return add(values.data(), values.size() * sizeof(T));
  }
  /// uint8 [bytes] on the device, for all that was added: there addresses can be taken from before
  /// it is sent.
  at::Tensor allocate(c10::Device device) const;
  int64_t bytes() const { return size_; }
  void send(const at::Tensor& to) const;
  /// Both.
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

/// What lies at an offset of an upload.
template <typename T>
const T* part_of(const at::Tensor& upload, int64_t offset) {
  return reinterpret_cast<const T*>(upload.const_data_ptr<uint8_t>() + offset);
}

/// The same as a tensor [count], a view.
at::Tensor tensor_of(const at::Tensor& upload, int64_t offset, int64_t count,
                     c10::ScalarType dtype);

}  // namespace elastikv
