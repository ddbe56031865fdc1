#pragma once

#include <memory>
#include <vector>

#include <c10/core/Device.h>

#include "base/stopwatch.h"

namespace c10 {
struct Event;
}

namespace elastikv {

/// Seconds that parts of a run took. Those of a device beside the CPU are known when it is done
/// with them, which is later than when they were queued.
class DeviceSeconds {
 public:
  DeviceSeconds() = default;  ///< 0
  explicit DeviceSeconds(double seconds) : known_(seconds) {}
  /// From an event to a later one of the same stream.
  DeviceSeconds(std::shared_ptr<const c10::Event> from, std::shared_ptr<const c10::Event> to);

  /// Waits for the device where it is not done yet.
  double value() const;

  DeviceSeconds& operator+=(const DeviceSeconds& other) { return add(other, 1); }
  DeviceSeconds& operator-=(const DeviceSeconds& other) { return add(other, -1); }

 private:
  struct Span {
    std::shared_ptr<const c10::Event> from;
    std::shared_ptr<const c10::Event> to;
    double sign = 1;
  };

  DeviceSeconds& add(DeviceSeconds other, double sign);

  double known_ = 0;
  std::vector<Span> spans_;
};

/// A stopwatch for what a device computes, which never waits for it. A lap begins and ends when the
/// device is done with all that was queued before (on its current stream): what was queued earlier
/// is not in it, and what the device idles while the host prepares its work is. On the CPU, where
/// nothing is queued, it is a Stopwatch.
class DeviceStopwatch {
 public:
  explicit DeviceStopwatch(c10::Device device);

  /// Since the last call, or since the beginning; starts anew.
  DeviceSeconds lap();

 private:
  c10::Device device_;
  Stopwatch host_;
  std::shared_ptr<const c10::Event> last_;  // null on the CPU
};

}  // namespace elastikv
