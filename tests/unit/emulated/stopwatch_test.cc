// Laps of a stopwatch for the emulated device.
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "base/device_stopwatch.h"
#include "unit/emulated/support.h"

namespace elastikv {
namespace {

using namespace std::chrono_literals;

class EmulatedStopwatch : public OnEmulatedDevice {
 protected:
  EmulatedStopwatch() { wait(); }
};

TEST_F(EmulatedStopwatch, ALapHasTheWorkThatWasQueuedInIt) {
  DeviceStopwatch watch(kEmulated);
  keep_busy(50ms);
  const DeviceSeconds busy = watch.lap();
  const DeviceSeconds nothing = watch.lap();
  wait();
  EXPECT_GE(busy.value(), 0.05);
  EXPECT_GE(nothing.value(), 0);
  EXPECT_LT(nothing.value(), busy.value());
}

TEST_F(EmulatedStopwatch, BeginsBehindWhatIsQueued) {
  DeviceStopwatch before(kEmulated);
  keep_busy(50ms);
  DeviceStopwatch watch(kEmulated);
  const DeviceSeconds busy = before.lap();
  EXPECT_LT(watch.lap().value(), busy.value());
}

TEST_F(EmulatedStopwatch, HasWhatTheDeviceIdlesWhileTheHostWorks) {
  DeviceStopwatch watch(kEmulated);
  std::this_thread::sleep_for(5ms);
  keep_busy(5ms);
  EXPECT_GE(watch.lap().value(), 0.01);
}

TEST_F(EmulatedStopwatch, NeverWaits) {
  const int64_t before = waits();
  DeviceStopwatch watch(kEmulated);
  keep_busy(1ms);
  DeviceSeconds seconds = watch.lap();
  keep_busy(1ms);
  seconds += watch.lap();
  EXPECT_EQ(waits(), before);
  wait();
  EXPECT_GE(seconds.value(), 0.002);
  EXPECT_EQ(waits(), before + 1);
  // A device that is done with everything is at the end of a lap at once.
  EXPECT_GE(watch.lap().value(), 0);
  EXPECT_EQ(waits(), before + 1);
}

TEST_F(EmulatedStopwatch, ATimeThatIsReadTooEarlyIsWaitedFor) {
  const int64_t before = waits();
  DeviceStopwatch watch(kEmulated);
  keep_busy(1ms);
  EXPECT_GE(watch.lap().value(), 0.001);
  EXPECT_EQ(waits(), before + 1);
}

TEST_F(EmulatedStopwatch, TimesAreAddedAndTakenOff) {
  DeviceStopwatch watch(kEmulated);
  keep_busy(2ms);
  const DeviceSeconds first = watch.lap();
  keep_busy(1ms);
  const DeviceSeconds second = watch.lap();
  DeviceSeconds sum = first;
  sum += second;
  EXPECT_NEAR(sum.value(), first.value() + second.value(), 1e-9);
  sum -= first;
  EXPECT_NEAR(sum.value(), second.value(), 1e-9);
}

TEST_F(EmulatedStopwatch, ATimeStaysAsItIsWhileEventsAreUsedAgain) {
  DeviceStopwatch watch(kEmulated);
  keep_busy(1ms);
  const DeviceSeconds first = watch.lap();
  const double seconds = first.value();
  for (int i = 0; i < 3; ++i) {
    DeviceStopwatch again(kEmulated);
    keep_busy(1ms);
    EXPECT_GE(again.lap().value(), 0.001);
  }
  EXPECT_EQ(first.value(), seconds);
}

}  // namespace
}  // namespace elastikv
