#pragma once

#include <memory>

#include <c10/core/Device.h>

#include "kernels/device_graph.h"

namespace elastikv::cuda {

/// CUDA graphs, recorded on a stream of their own and launched on the current one. Other threads
/// may go on using the device while one is recorded.
std::unique_ptr<GraphRecorder> graph_recorder(c10::Device device);

}  // namespace elastikv::cuda
