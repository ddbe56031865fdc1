#include "runtime/memory.h"

#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace elastikv {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

at::Tensor bytes(int64_t count) { return at::empty({count}, at::kByte); }

TEST(MemoryLimit, RefusesWhatIsTooMuchAndCountsWhatIsFreed) {
  EXPECT_FALSE(MemoryLimit::in_force());
  at::Tensor survivor;
  {
    const MemoryLimit limit(4 * kMiB);
    EXPECT_TRUE(MemoryLimit::in_force());
    at::Tensor half = bytes(2 * kMiB);
    EXPECT_EQ(MemoryLimit::used(), 2 * kMiB);
    try {
      bytes(3 * kMiB);
      FAIL() << "more than the limit was given";
    } catch (const std::exception& error) {
      EXPECT_TRUE(is_out_of_memory(error));
      EXPECT_EQ(out_of_memory_text(error),
                "out of memory: tried to allocate 3.0 MiB beside 2.0 MiB in use, with a limit of "
                "4.0 MiB");
    }
    // What was refused counts neither as used nor as the peak.
    EXPECT_EQ(MemoryLimit::used(), 2 * kMiB);
    EXPECT_EQ(MemoryLimit::peak(), 2 * kMiB);
    half.reset();
    EXPECT_EQ(MemoryLimit::used(), 0);
    EXPECT_EQ(MemoryLimit::peak(), 2 * kMiB);
    survivor = bytes(4 * kMiB);
    EXPECT_EQ(MemoryLimit::used(), 4 * kMiB);
  }
  EXPECT_FALSE(MemoryLimit::in_force());
  bytes(16 * kMiB);  // no limit any more
  {
    const MemoryLimit next(kMiB);
    EXPECT_EQ(MemoryLimit::used(), 0);
    survivor.reset();  // of the limit before: none of this one's
    EXPECT_EQ(MemoryLimit::used(), 0);
  }
}

TEST(MemoryLimit, CountsWhatAllThreadsAllocate) {
  const MemoryLimit limit(1024 * kMiB);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([] {
      for (int round = 0; round < 200; ++round) {
        const at::Tensor one = bytes(4096);
        const at::Tensor two = bytes(1 + round);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(MemoryLimit::used(), 0);
  EXPECT_GE(MemoryLimit::peak(), 4096 + 1);
  EXPECT_LE(MemoryLimit::peak(), 8 * (4096 + 200));
}

TEST(MemoryLimit, ArithmeticStopsAtItAndWorksAfterwards) {
  const MemoryLimit limit(10 * kMiB + 4096);  // the number that is added is a small tensor, too
  const at::Tensor a = at::ones({512, 512});  // 1 MiB
  std::vector<at::Tensor> kept;
  EXPECT_THROW(
      {
        for (int i = 0; i < 20; ++i) kept.push_back(at::add(a, 1));
      },
      c10::OutOfMemoryError);
  EXPECT_EQ(kept.size(), 9U);
  kept.clear();
  EXPECT_EQ(at::add(a, a).sum().item<float>(), 2 * 512 * 512);
}

TEST(OutOfMemory, IsToldFromOtherErrors) {
  const auto torch = [](const std::string& text) { return c10::Error({"f", "file", 1}, text); };
  EXPECT_TRUE(is_out_of_memory(std::bad_alloc()));
  EXPECT_EQ(out_of_memory_text(std::bad_alloc()), "out of memory");
  const c10::OutOfMemoryError cuda(
      {"f", "file", 1},
      "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB");
  EXPECT_TRUE(is_out_of_memory(cuda));
  EXPECT_EQ(out_of_memory_text(cuda), "out of memory: tried to allocate 2.00 GiB");
  EXPECT_TRUE(is_out_of_memory(torch("CUDA error: out of memory\nCUDA kernel errors might be")));
  EXPECT_TRUE(is_out_of_memory(
      torch("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")));
  EXPECT_FALSE(is_out_of_memory(torch("The size of tensor a (3) must match")));
  EXPECT_FALSE(is_out_of_memory(std::runtime_error("out of memory")));
}

TEST(OutOfMemory, OfTheCpusAllocatorItself) {
  try {
    bytes(int64_t{1} << 60);  // more than any address space has
    FAIL() << "an exbibyte was given";
  } catch (const std::exception& error) {
    EXPECT_TRUE(is_out_of_memory(error)) << error.what();
    EXPECT_EQ(out_of_memory_text(error), "out of memory: tried to allocate 1073741824.0 GiB");
  }
}

TEST(ParseBytes, UnitsOfBothKinds) {
  EXPECT_EQ(parse_bytes("6GiB", "x"), 6 * 1024 * kMiB);
  EXPECT_EQ(parse_bytes("1.5 GiB", "x"), 1536 * kMiB);
  EXPECT_EQ(parse_bytes("512MiB", "x"), 512 * kMiB);
  EXPECT_EQ(parse_bytes("8GB", "x"), 8000000000);
  EXPECT_EQ(parse_bytes("3kB", "x"), 3000);
  EXPECT_EQ(parse_bytes("12B", "x"), 12);
  EXPECT_EQ(parse_bytes("4096", "x"), 4096);
  for (const char* bad : {"", "GiB", "6 gigs", "-1GiB", "0", "nan", "inf GiB", "6GiBs", "1e30"}) {
    EXPECT_ERROR(
        parse_bytes(bad, "--memory-limit"),
        "--memory-limit is '" + std::string(bad) + "', needs a size such as 6GiB, 512MiB or 8GB");
  }
}

}  // namespace
}  // namespace elastikv
