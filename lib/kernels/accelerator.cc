#include "kernels/accelerator.h"

#include <array>

#ifdef ELASTIKV_WITH_CUDA
#include "kernels/cuda/accelerator.h"
#include "kernels/cuda/graph.h"
#endif

namespace elastikv {
namespace {

using Accelerators = std::array<const Accelerator*, c10::COMPILE_TIME_MAX_DEVICE_TYPES>;

size_t place_of(c10::DeviceType type) { return static_cast<size_t>(type); }

Accelerators& accelerators() {
  static Accelerators by_type = [] {
    Accelerators known{};
#ifdef ELASTIKV_WITH_CUDA
    static const Accelerator with_graphs = [] {
      Accelerator all = cuda::accelerator();
      all.graph_recorder = cuda::graph_recorder;
      return all;
    }();
    known[place_of(c10::DeviceType::CUDA)] = &with_graphs;
#endif
    return known;
  }();
  return by_type;
}

}  // namespace

const Accelerator* accelerator_of(c10::Device device) {
  return accelerators()[place_of(device.type())];
}

void set_accelerator(c10::DeviceType type, const Accelerator& accelerator) {
  accelerators()[place_of(type)] = &accelerator;
}

}  // namespace elastikv
