#include "support/emulated_device/resize.h"

#include <algorithm>
#include <utility>

#include <ATen/EmptyTensor.h>

#include "support/emulated_device/allocators.h"

namespace elastikv::emulated {

void resize_storage(const c10::Storage& storage, size_t bytes) {
  c10::DataPtr larger = device_allocator().allocate(bytes);
  const size_t kept = std::min(bytes, storage.nbytes());
  if (kept > 0) device_allocator().copy_data(larger.get(), storage.data(), kept);
  storage.unsafeGetStorageImpl()->set_data_ptr_noswap(std::move(larger));
  storage.unsafeGetStorageImpl()->set_nbytes(bytes);
}

void resize_tensor(const at::Tensor& tensor, c10::IntArrayRef sizes) {
  c10::TensorImpl* impl = tensor.unsafeGetTensorImpl();
  impl->set_sizes_contiguous(sizes);
  const size_t needed = at::detail::computeStorageNbytesContiguous(
      sizes, tensor.dtype().itemsize(), static_cast<size_t>(tensor.storage_offset()));
  if (tensor.numel() > 0 && needed > tensor.storage().nbytes())
    resize_storage(tensor.storage(), needed);
}

}  // namespace elastikv::emulated
