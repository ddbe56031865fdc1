#pragma once

#include <cstdint>
#include <string>

#include <arrow/memory_pool.h>
#include <arrow/status.h>

namespace elastikv::parquet_module {

/// Arrow's memory for one file, with a limit: some files claim pages of gigabytes that are not
/// there.
class BoundedPool : public arrow::CappedMemoryPool {
 public:
  BoundedPool(arrow::MemoryPool* pool, int64_t most_bytes)
      : CappedMemoryPool(pool, most_bytes), most_bytes_(most_bytes) {}

  using MemoryPool::Allocate;
  using MemoryPool::Reallocate;
  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override {
    return for_users(CappedMemoryPool::Allocate(size, alignment, out));
  }
  arrow::Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment,
                           uint8_t** out) override {
    return for_users(CappedMemoryPool::Reallocate(old_size, new_size, alignment, out));
  }

 private:
  arrow::Status for_users(const arrow::Status& status) const {
    if (!status.IsOutOfMemory()) return status;
    return arrow::Status::OutOfMemory(
        "a part of it needs more memory than a file of its size explains (at most ",
        std::to_string(most_bytes_ >> 20), " MiB)");
  }

  int64_t most_bytes_;
};

}  // namespace elastikv::parquet_module
