// The emulated device's memory: closed to the host, limited, counted.
#include "runtime/memory.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "base/device.h"
#include "base/error.h"
#include "runtime/machine.h"
#include "support/expect_error.h"
#include "unit/emulated/support.h"

namespace elastikv {
namespace {

class EmulatedMemory : public OnEmulatedDevice {
 protected:
  static at::TensorOptions there() { return at::TensorOptions().device(kEmulated); }
};

using EmulatedMemoryDeathTest = EmulatedMemory;

TEST_F(EmulatedMemoryDeathTest, AReadingHostDiesWithTheNameOfThePlace) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const at::Tensor x = at::zeros({4}, there()) + 1;
  wait();
  EXPECT_DEATH(
      {
        volatile float read = x.const_data_ptr<float>()[1];
        static_cast<void>(read);
      },
      "host code touched device memory: byte 4 of 512 bytes, last written by aten::add.out");
}

TEST_F(EmulatedMemoryDeathTest, AWritingHostDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const at::Tensor x = at::empty({4}, there());
  EXPECT_DEATH(x.mutable_data_ptr<float>()[0] = 1,
               "host code touched device memory: byte 0 of 512 bytes, last written by nobody");
}

TEST_F(EmulatedMemory, ANewBlockHoldsNaNs) {
  // Also where an earlier one lay.
  { const at::Tensor before = at::ones({64}, there()); }
  const at::Tensor x = at::empty({64}, there());
  EXPECT_TRUE(std::isnan(x.sum().item<float>()));
}

TEST_F(EmulatedMemory, AllocatingBeyondTheLimitIsOutOfMemory) {
  const int64_t before = 16 << 20;
  const emulated::MemoryLimit limit(before);
  const at::Tensor fits = at::empty({2 << 20}, there());  // 8 MiB
  try {
    const at::Tensor too_much = at::empty({4 << 20}, there());
    FAIL() << "16 MiB beside 8 MiB of 16 MiB";
  } catch (const std::exception& error) {
    EXPECT_TRUE(is_out_of_memory(error));
    EXPECT_EQ(out_of_memory_text(error), "out of memory: tried to allocate 16.00 MiB");
  }
  EXPECT_EQ(available_bytes(kEmulated), 8 << 20);
}

TEST_F(EmulatedMemory, ThePeakIsCounted) {
  const PeakMemory peak(kEmulated);
  { const at::Tensor x = at::empty({1 << 20}, there()); }
  const at::Tensor y = at::empty({1 << 18}, there());
  EXPECT_EQ(peak.peak() - peak.before(), 4 << 20);
}

TEST_F(EmulatedMemory, TheDeviceIsKnownByItsName) {
  EXPECT_EQ(parse_device("emulated"), kEmulated);
  EXPECT_NO_THROW(require_available(kEmulated));
  EXPECT_EQ(kEmulated.str(), "emulated:0");
}

}  // namespace
}  // namespace elastikv
