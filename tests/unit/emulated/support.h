#pragma once

#include <chrono>
#include <cstdint>
#include <thread>

#include <c10/core/impl/VirtualGuardImpl.h>
#include <gtest/gtest.h>

#include "support/emulated_device/emulated_device.h"
#include "support/emulated_device/stream.h"

namespace elastikv {

/// Tests on the emulated device, which is made known before the first.
class OnEmulatedDevice : public testing::Test {
 protected:
  static void SetUpTestSuite() { emulated::install(); }

  static void wait() {
    c10::impl::VirtualGuardImpl(kEmulated.type()).synchronizeDevice(kEmulated.index());
  }
  /// Times that the host has waited, ever.
  static int64_t waits() { return emulated::counted().synchronisations; }
  /// Queues work that takes the device so long, at least.
  static void keep_busy(std::chrono::milliseconds time) {
    emulated::Stream::instance().launch([time] { std::this_thread::sleep_for(time); });
  }

  inline static const c10::Device kEmulated{c10::DeviceType::PrivateUse1, 0};
};

}  // namespace elastikv
