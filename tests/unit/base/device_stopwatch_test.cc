#include "base/device_stopwatch.h"

#include <chrono>
#include <thread>

#include <gtest/gtest.h>

namespace elastikv {
namespace {

TEST(DeviceStopwatch, IsAStopwatchOnTheCpu) {
  DeviceStopwatch watch{c10::Device(c10::DeviceType::CPU)};
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  const DeviceSeconds slept = watch.lap();
  EXPECT_GE(slept.value(), 0.002);
  EXPECT_GE(watch.lap().value(), 0);

  DeviceSeconds sum;
  EXPECT_EQ(sum.value(), 0);
  sum += slept;
  sum += slept;
  EXPECT_DOUBLE_EQ(sum.value(), 2 * slept.value());
  sum -= slept;
  EXPECT_DOUBLE_EQ(sum.value(), slept.value());
}

}  // namespace
}  // namespace elastikv
