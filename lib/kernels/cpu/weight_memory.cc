#include "kernels/cpu/weight_memory.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

namespace elastikv::cpu {
namespace {

constexpr size_t kPage = size_t{2} << 20;
constexpr size_t kFirstChunk = size_t{64} << 10;
constexpr size_t kLargestChunk = 32 * kPage;
/// What has a chunk of its own: as part of another it would leave much of that unused.
constexpr size_t kAlone = 8 * kPage;
constexpr size_t kAlignment = 64;

size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

/// Memory that matrices share; it goes when the last of them does.
class Chunk {
 public:
  explicit Chunk(size_t bytes)
      : memory_(c10::GetCPUAllocator()->allocate(bytes + padding(bytes))), size_(bytes) {
    data_ = static_cast<char*>(memory_.get());
    if (padding(bytes) == 0) return;
    data_ += (kPage - reinterpret_cast<uintptr_t>(data_) % kPage) % kPage;
    madvise(data_, bytes, MADV_HUGEPAGE);  // a wish: memory is as good without
  }

  void* take(size_t bytes) {
    if (bytes > size_ - used_) return nullptr;
    void* taken = data_ + used_;
    used_ += bytes;
    return taken;
  }
  size_t size() const { return size_; }

 private:
  static size_t padding(size_t bytes) { return bytes < kPage ? 0 : kPage; }

  c10::DataPtr memory_;  // LibTorch's, so that it counts where tensors are counted
  char* data_;
  size_t size_;
  size_t used_ = 0;
};

}  // namespace

std::shared_ptr<void> weight_memory(size_t bytes) {
  static std::mutex mutex;
  static std::weak_ptr<Chunk> current;
  bytes = round_up(std::max<size_t>(bytes, 1), kAlignment);
  if (bytes >= kAlone) {
    auto alone = std::make_shared<Chunk>(round_up(bytes, kPage));
    void* data = alone->take(bytes);
    return {std::move(alone), data};
  }
  const std::lock_guard lock(mutex);
  std::shared_ptr<Chunk> chunk = current.lock();
  void* data = chunk == nullptr ? nullptr : chunk->take(bytes);
  if (data == nullptr) {
    // Twice as large every time, so that small models take little.
    const size_t next = chunk == nullptr ? kFirstChunk : 2 * chunk->size();
    const size_t size = std::max(bytes, std::min(next, kLargestChunk));
    chunk = std::make_shared<Chunk>(size < kPage ? size : round_up(size, kPage));
    data = chunk->take(bytes);
    current = chunk;
  }
  return {std::move(chunk), data};
}

}  // namespace elastikv::cpu
