#pragma once

#include <functional>
#include <memory>

namespace elastikv {

/// Work of a device that was recorded once and is launched again and again, each time as one. Must
/// not outlive the recorder.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  /// Queues all of the work, over what lies now at the addresses that it was recorded with.
  virtual void launch() = 0;
};

/// Records graphs of one device. What is allocated while it records lies in memory of its own,
/// which nobody else is given as long as there is one of its graphs: what is freed there by the end
/// of one recording, another may write to. Whatever else a graph reads and writes must stay where
/// it is as long as the graph is launched.
class GraphRecorder {
 public:
  virtual ~GraphRecorder() = default;
  /// Calls `work`, of which nothing runs on the device before the graph is launched. c10::Error
  /// where it does what a graph cannot: wait for the device, or read its memory. What it throws
  /// passes through and leaves no recording behind.
  virtual std::unique_ptr<DeviceGraph> record(const std::function<void()>& work) = 0;
};

}  // namespace elastikv
