#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace elastikv::emulated {

/// Memory that graphs share: what is freed of it goes to no others before the pool goes, with the
/// last of its graphs and blocks.
class MemoryPool {
 public:
  MemoryPool() = default;
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

 private:
  friend class Memory;
  std::map<size_t, std::vector<unsigned char*>> free_;  // by size
};

/// The device's memory: a range of addresses that nobody may touch but while the stream runs its
/// work (see Stream). Whoever does otherwise dies with the name of the place. Blocks that were
/// freed are given out again, as LibTorch's caching allocators do, so that what is used too late
/// shows.
class Memory {
 public:
  /// Never destroyed: tensors may be freed after everything else.
  static Memory& instance();

  /// A block of whole 512 bytes; c10::OutOfMemoryError beyond the limit. It holds what it holds.
  void* allocate(size_t bytes);
  void free(void* block);
  /// What this thread allocates belongs to `pool` from now on; null: to none.
  void allocate_from(std::shared_ptr<MemoryPool> pool);
  /// The bytes of a block, rounded up.
  size_t size_of(const void* block) const;

  bool contains(const void* address) const;
  /// Notes which operator fills the block that an address lies in.
  void name_writer(const void* address, std::string writer);
  /// "byte 4 of 512 bytes, last written by aten::add.out".
  std::string place_of(const void* address) const;

  /// Makes all of it readable and writable, or neither.
  void set_accessible(bool accessible);

  /// Bytes beyond which allocate() fails; at most the addresses there are.
  void set_limit(int64_t bytes);
  /// Bytes, and what was allocated and refused ever.
  struct Usage {
    int64_t limit = 0;
    int64_t in_use = 0;
    int64_t kept_by_pools = 0;  ///< not in use, but for nobody else
    int64_t peak = 0;           ///< of both together
    int64_t refused = 0;
    int64_t allocations = 0;
  };
  Usage usage() const;
  void reset_peak();

 private:
  struct Block {
    size_t bytes = 0;
    std::string writer;
    std::shared_ptr<MemoryPool> pool{};
  };

  friend class MemoryPool;

  Memory();
  void begin_use(unsigned char* block, Block description);
  void take_back(MemoryPool& pool);
  /// The block that an address lies in, or null.
  const std::pair<unsigned char* const, Block>* find(const void* address) const;

  mutable std::mutex mutex_;
  unsigned char* begin_ = nullptr;
  size_t used_ = 0;                                     // addresses from the beginning on
  std::map<unsigned char*, Block> blocks_;              // in use, by address
  std::map<size_t, std::vector<unsigned char*>> free_;  // by size
  std::shared_ptr<MemoryPool> pool_;                    // that allocating_into_pool_ allocates from
  std::thread::id allocating_into_pool_;
  Usage usage_;
};

}  // namespace elastikv::emulated
