#include "kernels/cuda/graph.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

namespace elastikv::cuda {
namespace {

class Graph final : public DeviceGraph {
 public:
  at::cuda::CUDAGraph& recorded() { return recorded_; }
  void launch() override { recorded_.replay(); }

 private:
  at::cuda::CUDAGraph recorded_;
};

class Recorder final : public GraphRecorder {
 public:
  explicit Recorder(c10::Device device)
      : stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())),
        pool_(at::cuda::graph_pool_handle()) {}

  std::unique_ptr<DeviceGraph> record(const std::function<void()>& work) override {
    auto graph = std::make_unique<Graph>();
    const c10::cuda::CUDAStreamGuard guard(stream_);
    graph->recorded().capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      abandon(graph->recorded());
      throw;
    }
    end(graph->recorded());
    return graph;
  }

 private:
  void end(at::cuda::CUDAGraph& graph) const {
    try {
      graph.capture_end();
    } catch (...) {
      leave_pool();
      throw;
    }
  }

  /// Where the driver gave a recording up, capture_end() stops before it has done this.
  void leave_pool() const noexcept {
    try {
      c10::cuda::CUDACachingAllocator::endAllocateToPool(stream_.device_index(), pool_);
    } catch (...) {
      return;  // it had
    }
  }

  /// Ends a recording whose work failed, which is what is to be told.
  void abandon(at::cuda::CUDAGraph& graph) const noexcept {
    try {
      end(graph);
    } catch (...) {
      static_cast<void>(cudaGetLastError());  // or else the next call tells of it
    }
  }

  c10::cuda::CUDAStream stream_;
  c10::MempoolId_t pool_;
};

}  // namespace

std::unique_ptr<GraphRecorder> graph_recorder(c10::Device device) {
  return std::make_unique<Recorder>(device);
}

}  // namespace elastikv::cuda
