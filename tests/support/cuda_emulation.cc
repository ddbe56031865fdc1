#include "support/cuda_emulation.h"

#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/fiber.h"

// NOLINTBEGIN(readability-identifier-naming)
dim3 threadIdx;
dim3 blockIdx;
dim3 blockDim;
dim3 gridDim;
// NOLINTEND(readability-identifier-naming)

namespace elastikv::cuda_emulation {
namespace {

constexpr int kLanes = 32;
constexpr size_t kExchange = 16;

enum class State { kReady, kAtBlock, kAtWarp, kDone };

struct Thread {
  Fiber fiber;
  State state = State::kDone;
};

// What a block may have on sm_80 (on sm_90 it is more).
constexpr size_t kMostShared = 163 * 1024;

/// Memory of a block, whose last byte lies before a page that nobody may touch.
unsigned char* guarded_memory(size_t bytes) {
  static unsigned char* const end = [] {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t usable = (kMostShared + page - 1) / page * page;
    void* mapped =
        mmap(nullptr, usable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    auto* begin = static_cast<unsigned char*>(mapped);
    if (mapped == MAP_FAILED || mprotect(begin + usable, page, PROT_NONE) != 0)
      throw std::runtime_error("no memory for an emulated block");
    return begin + usable;
  }();
  return end - bytes;
}

Order order = Order::kForward;
Launcher launcher = nullptr;
std::vector<Thread> threads;
size_t current = 0;
const std::function<void()>* running_kernel = nullptr;
unsigned char* shared = nullptr;
std::vector<unsigned char> exchanged;

void thread_main() {
  (*running_kernel)();
  threads[current].state = State::kDone;
}

void wait_as(State state) {
  threads[current].state = state;
  Fiber::pause();
}

/// Index i of n in the order that is set.
size_t ordered(size_t i, size_t n) { return order == Order::kForward ? i : n - 1 - i; }

/// Lets those go on that wait for something that has happened; whether there were any.
bool release(size_t count) {
  bool any = false;
  for (size_t warp = 0; warp < count / kLanes; ++warp) {
    bool together = true;
    for (size_t lane = 0; lane < kLanes; ++lane)
      together &= threads[warp * kLanes + lane].state == State::kAtWarp;
    if (!together) continue;
    for (size_t lane = 0; lane < kLanes; ++lane)
      threads[warp * kLanes + lane].state = State::kReady;
    any = true;
  }
  if (any) return true;
  for (size_t t = 0; t < count; ++t) {
    if (threads[t].state == State::kAtWarp)
      throw std::logic_error(
          fmt::format("thread {} waits for lanes of its warp that do not come", t));
    any |= threads[t].state == State::kAtBlock;
  }
  for (size_t t = 0; t < count; ++t) {
    if (threads[t].state == State::kAtBlock) threads[t].state = State::kReady;
  }
  return any;
}

void run_block(size_t count) {
  for (size_t t = 0; t < count; ++t) {
    threads[t].fiber.start(thread_main);
    threads[t].state = State::kReady;
  }
  do {
    for (size_t i = 0; i < count; ++i) {
      current = ordered(i, count);
      if (threads[current].state != State::kReady) continue;
      threadIdx = dim3(static_cast<unsigned>(current), 0, 0);
      threads[current].fiber.resume();
    }
  } while (release(count));
}

}  // namespace

void set_order(Order wanted) { order = wanted; }

namespace {

/// What a driver refuses.
void require_possible(dim3 grid, dim3 block, size_t shared_bytes) {
  if (block.y != 1 || block.z != 1 || block.x % kLanes != 0 || block.x > 1024)
    throw std::logic_error(fmt::format("blocks of {} x {} x {}", block.x, block.y, block.z));
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535)
    throw std::logic_error(fmt::format("a grid of {} x {} x {}", grid.x, grid.y, grid.z));
  if (shared_bytes > kMostShared)
    throw std::logic_error(fmt::format("{} bytes of shared memory", shared_bytes));
}

void run_grid(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& kernel) {
  if (threads.size() < block.x) threads.resize(block.x);
  exchanged.assign(block.x * kExchange, 0);
  shared = guarded_memory(shared_bytes);
  running_kernel = &kernel;
  gridDim = grid;
  blockDim = block;
  const size_t blocks = size_t{grid.x} * grid.y * grid.z;
  for (size_t b = 0; b < blocks; ++b) {
    const size_t index = ordered(b, blocks);
    blockIdx =
        dim3(static_cast<unsigned>(index % grid.x), static_cast<unsigned>(index / grid.x % grid.y),
             static_cast<unsigned>(index / grid.x / grid.y));
    std::memset(shared, 0xFF, shared_bytes);
    run_block(block.x);
  }
}

}  // namespace

void set_launcher(Launcher wanted) { launcher = wanted; }

void launch(dim3 grid, dim3 block, size_t shared_bytes, std::function<void()> kernel) {
  require_possible(grid, block, shared_bytes);
  if (launcher == nullptr) throw std::logic_error("a kernel without a launcher");
  launcher([=, kernel = std::move(kernel)] { run_grid(grid, block, shared_bytes, kernel); });
}

void wait_for_block() { wait_as(State::kAtBlock); }
void wait_for_warp() { wait_as(State::kAtWarp); }
unsigned char* shared_memory() { return shared; }
unsigned char* exchange(int lane) {
  return exchanged.data() + (current / kLanes * kLanes + static_cast<size_t>(lane)) * kExchange;
}
int current_lane() { return static_cast<int>(current % kLanes); }

}  // namespace elastikv::cuda_emulation
