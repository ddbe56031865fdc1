#pragma once

#include <memory>

#include <c10/core/Device.h>

#include "kernels/device_graph.h"

namespace elastikv::emulated {

/// Graphs as CUDA has them. While one is recorded, operators and kernels are put down with their
/// pointers instead of being queued, and what is allocated lies in memory that the recorder's
/// graphs share. Whatever waits for the device or goes to or from the host fails, as it does on
/// CUDA; so does, unlike there, a copy from pinned memory, which a launch would read again where it
/// was. A launch queues all of it as one.
std::unique_ptr<GraphRecorder> graph_recorder(c10::Device device);

}  // namespace elastikv::emulated
