#pragma once

#include <c10/core/impl/VirtualGuardImpl.h>
#include <gtest/gtest.h>

#include "support/emulated_device/emulated_device.h"

namespace elastikv {

/// Tests on the emulated device, which is made known before the first.
class OnEmulatedDevice : public testing::Test {
 protected:
  static void SetUpTestSuite() { emulated::install(); }

  static void wait() {
    c10::impl::VirtualGuardImpl(kEmulated.type()).synchronizeDevice(kEmulated.index());
  }

  inline static const c10::Device kEmulated{c10::DeviceType::PrivateUse1, 0};
};

}  // namespace elastikv
