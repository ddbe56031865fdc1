#include "kernels/cpu/weight_memory.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>

#include <ATen/ops/from_blob.h>
#include <sys/mman.h>

#include "base/error.h"

namespace elastikv::cpu {
namespace {

constexpr size_t kPage = size_t{2} << 20;
constexpr size_t kChunk = 32 * kPage;
constexpr size_t kAlignment = 64;

size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

/// Memory that tensors share; it goes when the last of them does.
class Chunk {
 public:
  explicit Chunk(size_t bytes) : data_(std::aligned_alloc(kPage, bytes)), free_(bytes) {
    if (data_ == nullptr) throw std::bad_alloc();
    madvise(data_, bytes, MADV_HUGEPAGE);  // a wish: memory is as good without
  }
  ~Chunk() { std::free(data_); }
  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;

  void* take(size_t bytes) {
    if (bytes > free_) return nullptr;
    void* taken = static_cast<char*>(data_) + used_;
    used_ += bytes;
    free_ -= bytes;
    return taken;
  }

 private:
  void* data_;
  size_t used_ = 0;
  size_t free_;
};

}  // namespace

at::Tensor in_huge_pages(const at::Tensor& x) {
  ELASTIKV_ASSERT(x.is_cpu() && x.is_contiguous(), "a contiguous tensor on the CPU is needed");
  static std::mutex mutex;
  static std::weak_ptr<Chunk> current;
  const size_t bytes = round_up(std::max<size_t>(x.nbytes(), 1), kAlignment);
  std::shared_ptr<Chunk> chunk;
  void* data = nullptr;
  {
    const std::lock_guard lock(mutex);
    chunk = current.lock();
    if (chunk != nullptr) data = chunk->take(bytes);
    if (data == nullptr) {
      chunk = std::make_shared<Chunk>(round_up(std::max(bytes, kChunk), kPage));
      data = chunk->take(bytes);
      current = chunk;
    }
  }
  std::memcpy(data, x.const_data_ptr(), x.nbytes());
  return at::from_blob(
      data, x.sizes(), [chunk](void* /*data*/) {}, x.options());
}

}  // namespace elastikv::cpu
