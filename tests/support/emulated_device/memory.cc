#include "support/emulated_device/memory.h"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include "support/emulated_device/fault.h"

namespace elastikv::emulated {
namespace {

/// Addresses, of which pages are taken only where something is written.
constexpr size_t kAddresses = size_t{64} << 30;
/// What the device says to have, and the granularity of its blocks.
constexpr int64_t kDefaultLimit = int64_t{16} << 30;
constexpr size_t kGranularity = 512;

std::string mebibytes(int64_t bytes) {
  return fmt::format("{:.2f} MiB", static_cast<double>(bytes) / (1 << 20));
}

}  // namespace

Memory& Memory::instance() {
  static auto* memory = new Memory;
  return *memory;
}

Memory::Memory() : usage_{.limit = kDefaultLimit} {
  void* range = mmap(nullptr, kAddresses, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                     /*fd=*/-1, /*offset=*/0);
  if (range == MAP_FAILED) throw std::runtime_error("no addresses for the emulated device");
  begin_ = static_cast<unsigned char*>(range);
  report_faults();
}

void* Memory::allocate(size_t bytes) {
  const std::lock_guard lock(mutex_);
  const size_t size = (bytes + kGranularity - 1) / kGranularity * kGranularity;
  const auto added = static_cast<int64_t>(size);
  const std::shared_ptr<MemoryPool> pool =
      std::this_thread::get_id() == allocating_into_pool_ ? pool_ : nullptr;
  if (pool != nullptr && !pool->free_[size].empty()) {
    unsigned char* block = pool->free_[size].back();
    pool->free_[size].pop_back();
    usage_.kept_by_pools -= added;
    begin_use(block, {size, "nobody", pool});
    return block;
  }
  if (usage_.in_use + usage_.kept_by_pools + added > usage_.limit) {
    ++usage_.refused;
    // As CUDA's allocator says it.
    TORCH_CHECK_WITH(OutOfMemoryError, false, "emulated device out of memory. Tried to allocate ",
                     mebibytes(added), ". GPU 0 has a total capacity of ", mebibytes(usage_.limit),
                     " of which ", mebibytes(usage_.limit - usage_.in_use - usage_.kept_by_pools),
                     " is free.");
  }
  unsigned char* block = nullptr;
  std::vector<unsigned char*>& free = free_[size];
  if (!free.empty()) {
    block = free.back();
    free.pop_back();
  } else {
    TORCH_CHECK(used_ + size <= kAddresses, "the emulated device has no addresses left");
    block = begin_ + used_;
    used_ += size;
  }
  begin_use(block, {size, "nobody", pool});
  return block;
}

void Memory::begin_use(unsigned char* block, Block description) {
  usage_.in_use += static_cast<int64_t>(description.bytes);
  usage_.peak = std::max(usage_.peak, usage_.in_use + usage_.kept_by_pools);
  ++usage_.allocations;
  blocks_[block] = std::move(description);
}

void Memory::free(void* block) {
  std::shared_ptr<MemoryPool> pool;  // goes after the lock
  const std::lock_guard lock(mutex_);
  const auto found = blocks_.find(static_cast<unsigned char*>(block));
  if (found == blocks_.end()) throw std::logic_error("a block of device memory is freed twice");
  const auto bytes = static_cast<int64_t>(found->second.bytes);
  pool = std::move(found->second.pool);
  usage_.in_use -= bytes;
  if (pool != nullptr) usage_.kept_by_pools += bytes;
  (pool != nullptr ? pool->free_ : free_)[found->second.bytes].push_back(found->first);
  blocks_.erase(found);
}

void Memory::allocate_from(std::shared_ptr<MemoryPool> pool) {
  const std::lock_guard lock(mutex_);
  pool_.swap(pool);
  allocating_into_pool_ = pool_ == nullptr ? std::thread::id() : std::this_thread::get_id();
}

void Memory::take_back(MemoryPool& pool) {
  const std::lock_guard lock(mutex_);
  for (auto& [bytes, blocks] : pool.free_) {
    usage_.kept_by_pools -= static_cast<int64_t>(bytes * blocks.size());
    std::vector<unsigned char*>& free = free_[bytes];
    free.insert(free.end(), blocks.begin(), blocks.end());
  }
}

MemoryPool::~MemoryPool() { Memory::instance().take_back(*this); }

size_t Memory::size_of(const void* block) const {
  const std::lock_guard lock(mutex_);
  return blocks_.at(static_cast<unsigned char*>(const_cast<void*>(block))).bytes;
}

bool Memory::contains(const void* address) const {
  const auto* at = static_cast<const unsigned char*>(address);
  return at >= begin_ && at < begin_ + kAddresses;
}

const std::pair<unsigned char* const, Memory::Block>* Memory::find(const void* address) const {
  auto* at = static_cast<unsigned char*>(const_cast<void*>(address));
  const auto after = blocks_.upper_bound(at);
  if (after == blocks_.begin()) return nullptr;
  const auto& found = *std::prev(after);
  return at < found.first + found.second.bytes ? &found : nullptr;
}

void Memory::name_writer(const void* address, std::string writer) {
  const std::lock_guard lock(mutex_);
  if (const auto* found = find(address)) blocks_.at(found->first).writer = std::move(writer);
}

std::string Memory::place_of(const void* address) const {
  // Asked for by a signal's handler, when nothing else runs that could hold the lock.
  const auto* found = find(address);
  if (found == nullptr) return "an address that is in no block";
  return fmt::format("byte {} of {} bytes, last written by {}",
                     static_cast<const unsigned char*>(address) - found->first, found->second.bytes,
                     found->second.writer);
}

void Memory::set_accessible(bool accessible) {
  const std::lock_guard lock(mutex_);
  if (used_ == 0) return;
  constexpr size_t kPage = 4096;
  const size_t whole = (used_ + kPage - 1) / kPage * kPage;
  if (mprotect(begin_, whole, accessible ? PROT_READ | PROT_WRITE : PROT_NONE) != 0)
    throw std::runtime_error("the emulated device's memory cannot be opened or closed");
}

void Memory::set_limit(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  usage_.limit = std::min(bytes, static_cast<int64_t>(kAddresses));
}

Memory::Usage Memory::usage() const {
  const std::lock_guard lock(mutex_);
  return usage_;
}

void Memory::reset_peak() {
  const std::lock_guard lock(mutex_);
  usage_.peak = usage_.in_use + usage_.kept_by_pools;
}

}  // namespace elastikv::emulated
