#include "tiles.h"

#include <cstdlib>
#include <new>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace fused {

bool tiles_allowed() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return __builtin_cpu_supports("avx512bf16") != 0 &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

void shape_tiles() {
  struct alignas(64) Shape {
    std::uint8_t palette = 1;
    std::uint8_t first_row = 0;
    std::uint8_t reserved[14] = {};
    std::uint16_t bytes[16] = {};
    std::uint8_t rows[16] = {};
  } shape;
  for (int tile = 0; tile < 8; ++tile) {
    shape.bytes[tile] = 64;
    shape.rows[tile] = 16;
  }
  asm volatile("" : : "r"(&shape) : "memory");  // GCC thinks that 8 bytes of it are read
  _tile_loadconfig(&shape);
}

Memory::Memory(std::size_t bytes) {
  constexpr std::size_t kHugePage = 2 << 20;
  size_ = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  start_.reset(static_cast<char*>(std::aligned_alloc(kHugePage, size_)));
  if (!start_) throw std::bad_alloc();
  madvise(start_.get(), size_, MADV_HUGEPAGE);  // only advice: without it, all is just slower
}

void Memory::Free::operator()(char* start) const { std::free(start); }

}  // namespace fused
