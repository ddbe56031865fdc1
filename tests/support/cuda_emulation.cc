#include "support/cuda_emulation.h"

#include <memory>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

// NOLINTBEGIN(readability-identifier-naming)
dim3 threadIdx;
dim3 blockIdx;
dim3 blockDim;
dim3 gridDim;
// NOLINTEND(readability-identifier-naming)

namespace elastikv::cuda_emulation {
namespace {

constexpr size_t kStack = 256 * 1024;
constexpr int kLanes = 32;
constexpr size_t kExchange = 16;

enum class State { kReady, kAtBlock, kAtWarp, kDone };

struct Fiber {
  ucontext_t context{};
  std::unique_ptr<unsigned char[]> stack;
  State state = State::kDone;
};

/// Memory whose last byte lies before a page that nobody may touch.
class GuardedMemory {
 public:
  explicit GuardedMemory(size_t bytes) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t usable = (bytes + page - 1) / page * page;
    mapped_ = usable + page;
    memory_ = static_cast<unsigned char*>(
        mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory_ == MAP_FAILED || mprotect(memory_ + usable, page, PROT_NONE) != 0)
      throw std::runtime_error("no memory for an emulated block");
    begin_ = memory_ + usable - bytes;
  }
  ~GuardedMemory() { munmap(memory_, mapped_); }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  unsigned char* begin() const { return begin_; }

 private:
  unsigned char* memory_ = nullptr;
  unsigned char* begin_ = nullptr;
  size_t mapped_ = 0;
};

Order order = Order::kForward;
Launcher launcher = nullptr;
std::vector<Fiber> fibers;
ucontext_t scheduler;
size_t current = 0;
const std::function<void()>* running_kernel = nullptr;
unsigned char* shared = nullptr;
std::vector<unsigned char> exchanged;

void fiber_main() {
  (*running_kernel)();
  fibers[current].state = State::kDone;
  // uc_link leads back to the scheduler.
}

void wait_as(State state) {
  Fiber& fiber = fibers[current];
  fiber.state = state;
  swapcontext(&fiber.context, &scheduler);
}

/// Index i of n in the order that is set.
size_t ordered(size_t i, size_t n) { return order == Order::kForward ? i : n - 1 - i; }

/// Lets those go on that wait for something that has happened; whether there were any.
bool release(size_t threads) {
  bool any = false;
  for (size_t warp = 0; warp < threads / kLanes; ++warp) {
    bool together = true;
    for (size_t lane = 0; lane < kLanes; ++lane)
      together &= fibers[warp * kLanes + lane].state == State::kAtWarp;
    if (!together) continue;
    for (size_t lane = 0; lane < kLanes; ++lane) fibers[warp * kLanes + lane].state = State::kReady;
    any = true;
  }
  if (any) return true;
  for (size_t t = 0; t < threads; ++t) {
    if (fibers[t].state == State::kAtWarp)
      throw std::logic_error(
          fmt::format("thread {} waits for lanes of its warp that do not come", t));
    any |= fibers[t].state == State::kAtBlock;
  }
  for (size_t t = 0; t < threads; ++t) {
    if (fibers[t].state == State::kAtBlock) fibers[t].state = State::kReady;
  }
  return any;
}

void run_block(size_t threads) {
  for (size_t t = 0; t < threads; ++t) {
    Fiber& fiber = fibers[t];
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = &scheduler;
    makecontext(&fiber.context, fiber_main, 0);
    fiber.state = State::kReady;
  }
  do {
    for (size_t i = 0; i < threads; ++i) {
      current = ordered(i, threads);
      if (fibers[current].state != State::kReady) continue;
      threadIdx = dim3(static_cast<unsigned>(current), 0, 0);
      swapcontext(&scheduler, &fibers[current].context);
    }
  } while (release(threads));
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
  // What a block may have on sm_80 (on sm_90 it is more).
  constexpr size_t kMostShared = 163 * 1024;
  if (shared_bytes > kMostShared)
    throw std::logic_error(fmt::format("{} bytes of shared memory", shared_bytes));
}

void run_grid(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& kernel) {
  while (fibers.size() < block.x) {
    fibers.emplace_back();
    fibers.back().stack = std::make_unique<unsigned char[]>(kStack);
  }
  exchanged.assign(block.x * kExchange, 0);
  const GuardedMemory memory(shared_bytes);
  shared = memory.begin();
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
