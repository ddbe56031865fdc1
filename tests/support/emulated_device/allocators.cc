#include "support/emulated_device/allocators.h"

#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>

#include "support/emulated_device/emulated_device.h"
#include "support/emulated_device/memory.h"
#include "support/emulated_device/stream.h"

namespace elastikv::emulated {
namespace {

/// The byte of which a new block is full: NaN as any floating-point number.
constexpr int kNothing = 0xFF;

void free_device_block(void* block) {
  if (block != nullptr) Memory::instance().free(block);
}

class EmulatedAllocator final : public c10::DeviceAllocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &free_device_block, device()};
    void* block = Memory::instance().allocate(bytes);
    const size_t size = Memory::instance().size_of(block);
    Stream::instance().enqueue([block, size] { std::memset(block, kNothing, size); });
    return {block, block, &free_device_block, device()};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_device_block; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    Stream::instance().launch([to, from, bytes] { std::memcpy(to, from, bytes); });
  }

  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t /*pool*/) override {}
  void recordStream(const c10::DataPtr& /*block*/, c10::Stream /*stream*/) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex /*device*/) override {
    constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    const Memory::Usage usage = Memory::instance().usage();
    c10::CachingDeviceAllocator::DeviceStats stats;
    for (auto* bytes : {&stats.allocated_bytes, &stats.reserved_bytes, &stats.active_bytes}) {
      (*bytes)[kAll].current = usage.in_use;
      (*bytes)[kAll].peak = usage.peak;
    }
    stats.reserved_bytes[kAll].current += usage.kept_by_pools;
    stats.allocation[kAll].allocated = usage.allocations;
    stats.num_ooms = usage.refused;
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex /*device*/) override {}
  void resetPeakStats(c10::DeviceIndex /*device*/) override { Memory::instance().reset_peak(); }
  std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex /*device*/) override {
    const Memory::Usage usage = Memory::instance().usage();
    const int64_t free = usage.limit - usage.in_use - usage.kept_by_pools;
    return {static_cast<size_t>(free), static_cast<size_t>(usage.limit)};
  }
};

class PinnedAllocator final : public at::HostAllocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &release, c10::Device(c10::DeviceType::CPU)};
    constexpr size_t kAlign = 64;
    void* block = std::aligned_alloc(kAlign, (bytes + kAlign - 1) / kAlign * kAlign);
    if (block == nullptr) throw std::bad_alloc();
    std::memset(block, kNothing, bytes);
    const std::lock_guard lock(mutex_);
    blocks_[static_cast<unsigned char*>(block)] = bytes;
    return {block, block, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

  bool record_event(void* /*block*/, void* /*context*/, c10::Stream /*stream*/) override {
    return true;
  }
  void empty_cache() override {}
  at::HostStats get_stats() override { return {}; }
  void reset_accumulated_stats() override {}
  void reset_peak_stats() override {}

  bool contains(const void* address) const {
    const std::lock_guard lock(mutex_);
    auto* at = static_cast<unsigned char*>(const_cast<void*>(address));
    const auto after = blocks_.upper_bound(at);
    if (after == blocks_.begin()) return false;
    const auto& [begin, bytes] = *std::prev(after);
    return at < begin + bytes;
  }

  /// Never destroyed, as Memory.
  static PinnedAllocator& instance() {
    static auto* allocator = new PinnedAllocator;
    return *allocator;
  }

 private:
  static void release(void* block) {
    if (block == nullptr) return;
    {
      const std::lock_guard lock(instance().mutex_);
      instance().blocks_.erase(static_cast<unsigned char*>(block));
    }
    // What was queued may still use it.
    Stream& stream = Stream::instance();
    if (stream.finished() == stream.queued()) {
      std::free(block);
    } else {
      stream.after_all([block] { std::free(block); });
    }
  }

  mutable std::mutex mutex_;
  std::map<unsigned char*, size_t> blocks_;  // by address
};

}  // namespace

c10::DeviceAllocator& device_allocator() {
  static auto* allocator = new EmulatedAllocator;
  return *allocator;
}

at::HostAllocator& pinned_allocator() { return PinnedAllocator::instance(); }

bool is_pinned(const void* address) { return PinnedAllocator::instance().contains(address); }

}  // namespace elastikv::emulated
