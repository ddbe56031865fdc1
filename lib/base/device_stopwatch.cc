#include "base/device_stopwatch.h"

#include <mutex>
#include <unordered_map>
#include <utility>

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace elastikv {
namespace {

/// Events that are used again and again. Never destroyed: of a lost device LibTorch would warn
/// about each of them.
class Events {
 public:
  static Events& instance() {
    static auto* events = new Events;
    return *events;
  }

  /// One that says when the device is done with all that is queued by now.
  std::shared_ptr<const c10::Event> record(c10::Device device) {
    const std::shared_ptr<c10::Event> event(
        take(device), [device](c10::Event* used) { instance().give_back(device, used); });
    event->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
    return event;
  }

 private:
  c10::Event* take(c10::Device device) {
    const std::lock_guard lock(mutex_);
    std::vector<c10::Event*>& unused = unused_[device];
    // The backend's own default has times, PyTorch's has none.
    if (unused.empty()) return new c10::Event(device.type(), c10::EventFlag::BACKEND_DEFAULT);
    c10::Event* event = unused.back();
    unused.pop_back();
    return event;
  }
  void give_back(c10::Device device, c10::Event* event) {
    const std::lock_guard lock(mutex_);
    unused_[device].push_back(event);
  }

  std::mutex mutex_;
  std::unordered_map<c10::Device, std::vector<c10::Event*>> unused_;
};

}  // namespace

DeviceSeconds::DeviceSeconds(std::shared_ptr<const c10::Event> from,
                             std::shared_ptr<const c10::Event> to) {
  spans_.push_back({std::move(from), std::move(to), /*sign=*/1});
}

double DeviceSeconds::value() const {
  constexpr double kPerMillisecond = 1e-3;
  double seconds = known_;
  for (const Span& span : spans_) {
    span.to->synchronize();
    seconds += span.sign * span.from->elapsedTime(*span.to) * kPerMillisecond;
  }
  return seconds;
}

DeviceSeconds& DeviceSeconds::add(DeviceSeconds other, double sign) {
  known_ += sign * other.known_;
  for (Span& span : other.spans_) {
    span.sign *= sign;
    spans_.push_back(std::move(span));
  }
  return *this;
}

DeviceStopwatch::DeviceStopwatch(c10::Device device)
    : device_(device), last_(device.is_cpu() ? nullptr : Events::instance().record(device)) {}

DeviceSeconds DeviceStopwatch::lap() {
  if (device_.is_cpu()) return DeviceSeconds(host_.lap());
  std::shared_ptr<const c10::Event> now = Events::instance().record(device_);
  return {std::exchange(last_, now), now};
}

}  // namespace elastikv
