#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

namespace elastikv::emulated {

/// Any operator that has no kernel of its own here: it is queued, to run as the CPU's over the
/// device's memory. The shapes of what it returns are found by running it on zeros. Operators whose
/// shapes depend on numbers (tagged so), those that draw random numbers, and those that refuse
/// zeros run at once, behind all that is queued; the first of these count as a wait of the host, as
/// they wait on CUDA. Tensors of both sides in one call fail, but for single numbers of the CPU.
void run_operator(const c10::OperatorHandle& op, torch::jit::Stack* stack);

}  // namespace elastikv::emulated
