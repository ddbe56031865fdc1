#include "support/emulated_device/guard.h"

#include <chrono>
#include <utility>

#include "support/emulated_device/emulated_device.h"
#include "support/emulated_device/stream.h"

namespace elastikv::emulated {
namespace {

using c10::Device;
using c10::DeviceIndex;

/// How much was queued when it was recorded, and when the stream came to it.
struct Event {
  int64_t after = 0;
  std::chrono::steady_clock::time_point reached;
};

c10::StreamId& current_stream() {
  thread_local c10::StreamId id = 0;
  return id;
}

c10::Stream stream_of(c10::StreamId id) { return c10::Stream(c10::Stream::UNSAFE, device(), id); }

class Guard final : public c10::impl::DeviceGuardImplInterface {
 public:
  c10::DeviceType type() const override { return device().type(); }
  Device exchangeDevice(Device device) const override {
    setDevice(device);
    return emulated::device();
  }
  Device getDevice() const override { return device(); }
  void setDevice(Device device) const override {
    TORCH_CHECK(device.index() <= 0, "there is one emulated device, not ", device.index() + 1);
  }
  void uncheckedSetDevice(Device /*device*/) const noexcept override {}
  DeviceIndex deviceCount() const noexcept override { return 1; }

  c10::Stream getStream(Device /*device*/) const override { return stream_of(current_stream()); }
  c10::Stream getDefaultStream(Device /*device*/) const override { return stream_of(0); }
  c10::Stream getStreamFromGlobalPool(Device /*device*/, bool /*urgent*/) const override {
    return getNewStream(device(), 0);
  }
  c10::Stream getNewStream(Device /*device*/, int /*priority*/) const override {
    thread_local c10::StreamId last = 0;
    return stream_of(++last);
  }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    return stream_of(std::exchange(current_stream(), stream.id()));
  }
  void* getStreamNativeHandle(c10::Stream /*stream*/) const override { return &Stream::instance(); }
  bool queryStream(const c10::Stream& /*stream*/) const override {
    Stream::instance().require_not_recording("asking whether the device is done");
    return Stream::instance().finished() == Stream::instance().queued();
  }
  void synchronizeStream(const c10::Stream& /*stream*/) const override {
    Stream::instance().synchronise();
  }
  void synchronizeDevice(DeviceIndex /*device*/) const override {
    Stream::instance().synchronise();
  }

  void record(void** event, const c10::Stream& /*stream*/, DeviceIndex /*device*/,
              c10::EventFlag /*flag*/) const override {
    if (*event == nullptr) *event = new Event;
    auto* recorded = static_cast<Event*>(*event);
    Stream& stream = Stream::instance();
    stream.require_not_recording("an event that is asked for the time");
    const auto reach = [recorded] { recorded->reached = std::chrono::steady_clock::now(); };
    if (stream.finished() == stream.queued()) {
      reach();  // as a device that has nothing to do
    } else {
      stream.enqueue(reach);
    }
    recorded->after = stream.queued();
  }
  void block(void* /*event*/, const c10::Stream& /*stream*/) const override {
    // All streams are one: what comes later runs later.
  }
  bool queryEvent(void* event) const override {
    return event == nullptr || static_cast<Event*>(event)->after <= Stream::instance().finished();
  }
  void synchronizeEvent(void* event) const override {
    if (queryEvent(event)) return;
    Stream::instance().synchronise();
  }
  void destroyEvent(void* event, DeviceIndex /*device*/) const noexcept override {
    const auto destroy = [event] { delete static_cast<Event*>(event); };
    if (queryEvent(event)) {
      destroy();
    } else {
      Stream::instance().after_all(destroy);  // behind its record
    }
  }
  double elapsedTime(void* from, void* to, DeviceIndex /*device*/) const override {
    TORCH_CHECK(queryEvent(from) && queryEvent(to), "an event was not reached yet");
    const std::chrono::duration<double, std::milli> between =
        static_cast<Event*>(to)->reached - static_cast<Event*>(from)->reached;
    return between.count();
  }
};

}  // namespace

const c10::impl::DeviceGuardImplInterface& guard() {
  static const auto* guard = new Guard;
  return *guard;
}

}  // namespace elastikv::emulated
