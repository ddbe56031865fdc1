#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

#include <c10/core/Device.h>

namespace elastikv {

/// Limits memory while it lives: an allocation of a CPU tensor beyond it throws
/// c10::OutOfMemoryError where the system would sooner or later kill the process. Counts the bytes
/// of live tensors, weights among them, on all threads, from its beginning on, beside what is taken
/// already. One at a time; tensors may outlive it.
class MemoryLimit final {
 public:
  /// `taken`: bytes that the process has already, for a limit of the whole process; Error unless
  /// they are within it. memory_left() then also counts what grows beside the tensors.
  explicit MemoryLimit(int64_t bytes, int64_t taken = 0);
  ~MemoryLimit();
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

  /// Bytes of live tensors that were allocated since the beginning.
  static int64_t used();
  /// The most that `used` was since the beginning.
  static int64_t peak();
  /// Whether there is one now.
  static bool in_force();
  /// Bytes that may still be allocated under the limit; INT64_MAX without one.
  static int64_t left();
};

/// Bytes that can still be allocated on a device: available_bytes, and on the CPU no more than a
/// MemoryLimit leaves; under one of the whole process, free memory is released first.
int64_t memory_left(c10::Device device);

/// "6GiB", "1.5 GiB", "512MiB", "6GB" or bytes; B, kB, MB, GB, TB and KiB, MiB, GiB, TiB. Error
/// beginning with `what` for anything else and for less than a byte.
int64_t parse_bytes(std::string_view text, std::string_view what);

/// Whether an exception says that memory did not suffice: of a GPU's or the CPU's allocator, of a
/// GPU's libraries, or std::bad_alloc.
bool is_out_of_memory(const std::exception& error);
/// What it says, in one line: "out of memory: tried to allocate 2.00 GiB", or "out of memory" where
/// it does not tell how much was asked for.
std::string out_of_memory_text(const std::exception& error);

/// Hands back what an allocator keeps for later: a GPU's cached blocks, the heap's free pages.
void release_free_memory(c10::Device device);

}  // namespace elastikv
