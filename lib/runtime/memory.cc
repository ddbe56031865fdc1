#include "runtime/memory.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <optional>
#include <unordered_map>
#include <utility>

#include <ATen/Context.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>
#include <malloc.h>

#include "base/error.h"
#include "base/fields.h"
#include "runtime/cost.h"
#include "runtime/machine.h"

namespace elastikv {
namespace {

/// Above the priority of every allocator that LibTorch sets itself.
constexpr uint8_t kPriority = 255;

/// Bytes from which on a block goes back to the system when it is freed, under a process's limit.
constexpr int kOwnMapping = 1 << 20;

/// Counts what another allocator gives, and refuses what is too much.
class LimitedAllocator final : public c10::Allocator {
 public:
  void begin(int64_t limit, int64_t taken) {
    ELASTIKV_ASSERT(!in_force_, "two memory limits at a time");
    in_force_ = true;
    limit_ = limit;
    ++epoch_;
    taken_ = taken;
    used_ = 0;
    peak_ = 0;
    before_ = c10::GetCPUAllocator();
    c10::SetCPUAllocator(this, kPriority);
  }
  void end() {
    c10::SetCPUAllocator(before_, kPriority);
    in_force_ = false;
  }

  int64_t used() const { return used_; }
  int64_t peak() const { return peak_; }
  bool in_force() const { return in_force_; }
  /// What the process is to stay within; nothing for a limit of tensors alone.
  std::optional<int64_t> of_process() const {
    return in_force_ && taken_ > 0 ? std::optional(limit_) : std::nullopt;
  }
  int64_t left() const {
    return in_force_ ? std::max(int64_t{0}, limit_ - taken_ - used_) : INT64_MAX;
  }

  c10::DataPtr allocate(size_t bytes) override {
    const auto size = static_cast<int64_t>(bytes);
    const int64_t used = used_.fetch_add(size) + size;
    if (used > limit_ - taken_) {
      used_ -= size;
      throw c10::OutOfMemoryError(
          {__func__, __FILE__, static_cast<uint32_t>(__LINE__)},
          fmt::format("tried to allocate {} beside {} in use, with a limit of {}", bytes_text(size),
                      bytes_text(taken_ + used - size), bytes_text(limit_)));
    }
    void* memory = nullptr;
    try {
      c10::DataPtr data = before_->allocate(bytes);
      memory = data.get();
      // LibTorch frees some memory by its address alone (raw_deallocate), so that must be all that
      // a block needs to be found by.
      ELASTIKV_ASSERT(memory == data.get_context(), "an allocator with contexts of its own");
      if (memory != nullptr) {
        const std::lock_guard lock(mutex_);
        blocks_[memory] = {size, epoch_, before_->raw_deleter()};
        data.release_context();
      }
    } catch (...) {
      used_ -= size;
      throw;
    }
    int64_t peak = peak_;
    while (used > peak && !peak_.compare_exchange_weak(peak, used)) {
    }
    return {memory, memory, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

  /// Never destroyed: tensors may be freed after everything else.
  static LimitedAllocator& instance() {
    static auto* allocator = new LimitedAllocator;
    return *allocator;
  }

 private:
  struct Block {
    int64_t bytes = 0;
    int64_t epoch = 0;  // of the limit that it was allocated under
    c10::DeleterFnPtr deleter = nullptr;
  };

  static void release(void* memory) {
    if (memory == nullptr) return;
    const Block block = instance().take(memory);
    block.deleter(memory);
  }

  Block take(void* memory) {
    const std::lock_guard lock(mutex_);
    const auto found = blocks_.find(memory);
    const Block block = found->second;
    blocks_.erase(found);
    // A block of an earlier limit is none of this one's.
    if (block.epoch == epoch_) used_ -= block.bytes;
    return block;
  }

  c10::Allocator* before_ = nullptr;
  int64_t limit_ = 0;
  int64_t taken_ = 0;  // by others than tensors since the beginning
  std::atomic<bool> in_force_ = false;
  std::atomic<int64_t> epoch_ = 0;
  std::atomic<int64_t> used_ = 0;
  std::atomic<int64_t> peak_ = 0;
  std::mutex mutex_;
  std::unordered_map<void*, Block> blocks_;  // by address
};

/// The message without the stack trace that LibTorch appends.
std::string message_of(const std::exception& error) {
  const auto* torch = dynamic_cast<const c10::Error*>(&error);
  return torch == nullptr ? error.what() : torch->what_without_backtrace();
}

/// The text between two marks, or nothing.
std::string between(const std::string& text, std::string_view begin, std::string_view end) {
  const size_t at = text.find(begin);
  if (at == std::string::npos) return "";
  const size_t from = at + begin.size();
  const size_t to = text.find(end, from);
  return to == std::string::npos ? "" : text.substr(from, to - from);
}

}  // namespace

MemoryLimit::MemoryLimit(int64_t bytes, int64_t taken) {
  if (taken > bytes) {
    fail("a memory limit of {} is less than the {} that the program itself takes",
         bytes_text(bytes), bytes_text(taken));
  }
  // By itself glibc takes ever larger blocks from its heap, where what was freed stays: more than a
  // third of the quickstart's memory.
  if (taken > 0) mallopt(M_MMAP_THRESHOLD, kOwnMapping);
  LimitedAllocator::instance().begin(bytes, taken);
}
MemoryLimit::~MemoryLimit() { LimitedAllocator::instance().end(); }
int64_t MemoryLimit::used() { return LimitedAllocator::instance().used(); }
int64_t MemoryLimit::peak() { return LimitedAllocator::instance().peak(); }
int64_t MemoryLimit::left() { return LimitedAllocator::instance().left(); }
bool MemoryLimit::in_force() { return LimitedAllocator::instance().in_force(); }

int64_t memory_left(c10::Device device) {
  const int64_t available = available_bytes(device);
  if (!device.is_cpu()) return available;
  int64_t left = std::min(available, MemoryLimit::left());
  if (const std::optional<int64_t> limit = LimitedAllocator::instance().of_process()) {
    release_free_memory(device);
    left = std::min(left, *limit - resident_bytes());
  }
  return std::max<int64_t>(left, 0);
}

int64_t parse_bytes(std::string_view text, std::string_view what) {
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"KiB", 1024.0},
      {"MiB", 1024.0 * 1024},
      {"GiB", 1024.0 * 1024 * 1024},
      {"TiB", 1024.0 * 1024 * 1024 * 1024},
      {"kB", 1e3},
      {"MB", 1e6},
      {"GB", 1e9},
      {"TB", 1e12},
      {"B", 1.0},
      {"", 1.0},
  };
  for (const auto& [unit, factor] : kUnits) {
    if (!text.ends_with(unit)) continue;
    std::string_view number = text.substr(0, text.size() - unit.size());
    while (number.ends_with(' ')) number.remove_suffix(1);
    double value = 0;
    if (!parse_double(number, value)) break;
    const double bytes = value * factor;
    if (!(bytes >= 1 && bytes < 9e18)) break;
    return static_cast<int64_t>(bytes);
  }
  fail("{} is '{}', needs a size such as 6GiB, 512MiB or 8GB", what, text);
}

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return true;
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) return true;
  if (dynamic_cast<const c10::Error*>(&error) == nullptr) return false;
  const std::string text = message_of(error);
  // The CPU's allocator, the CUDA runtime, cuBLAS and cuDNN say it in a general error.
  for (const char* phrase :
       {"DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory",
        "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"}) {
    if (text.find(phrase) != std::string::npos) return true;
  }
  return false;
}

std::string out_of_memory_text(const std::exception& error) {
  const std::string text = message_of(error);
  // "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total ..."
  const std::string asked = between(text, "Tried to allocate ", ". ");
  if (!asked.empty()) return "out of memory: tried to allocate " + asked;
  // "DefaultCPUAllocator: can't allocate memory: you tried to allocate 123 bytes. Error code 12"
  int64_t bytes = 0;
  if (parse_int(between(text, "you tried to allocate ", " bytes"), bytes))
    return "out of memory: tried to allocate " + bytes_text(bytes);
  if (text.starts_with("tried to allocate ")) return "out of memory: " + text;
  return "out of memory";
}

void release_free_memory(c10::Device device) {
  if (device.is_cpu()) {
    malloc_trim(/*pad=*/0);
    return;
  }
  at::globalContext().lazyInitDevice(device.type());
  c10::getDeviceAllocator(device.type())->emptyCache();
}

}  // namespace elastikv
