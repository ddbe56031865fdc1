#pragma once

#include "kernels/accelerator.h"

namespace elastikv::cuda {

/// The kernels of this folder. Graphs are not among them (graph.h): they are CUDA's own, which
/// what stands in for it has none of.
const Accelerator& accelerator();

}  // namespace elastikv::cuda
