#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

/// While it lives, counts the bytes of the CPU tensors that are allocated, by any thread. They must
/// not outlive it.
class CountingAllocator final : public c10::Allocator {
 public:
  CountingAllocator() : before_(c10::GetCPUAllocator()) {
    c10::SetCPUAllocator(this, /*priority=*/255);
  }
  ~CountingAllocator() override { c10::SetCPUAllocator(before_, /*priority=*/255); }
  CountingAllocator(const CountingAllocator&) = delete;
  CountingAllocator& operator=(const CountingAllocator&) = delete;

  /// Bytes in use of what was allocated since, and how often something was.
  int64_t bytes() const { return bytes_; }
  int64_t allocations() const { return allocations_; }

  c10::DataPtr allocate(size_t bytes) override {
    auto* block = new Block{before_->allocate(bytes), this, static_cast<int64_t>(bytes)};
    bytes_ += block->bytes;
    ++allocations_;
    return {block->data.get(), block, &release, c10::Device(c10::DeviceType::CPU)};
  }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  struct Block {
    c10::DataPtr data;
    CountingAllocator* owner;
    int64_t bytes;
  };

  static void release(void* context) {
    auto* block = static_cast<Block*>(context);
    block->owner->bytes_ -= block->bytes;
    delete block;
  }

  c10::Allocator* before_;
  std::atomic<int64_t> bytes_ = 0;
  std::atomic<int64_t> allocations_ = 0;
};
