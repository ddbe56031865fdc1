#pragma once

#include "kernels/accelerator.h"

namespace elastikv::cuda {

/// The kernels of this folder.
const Accelerator& accelerator();

}  // namespace elastikv::cuda
