#pragma once

#include <cstddef>
#include <memory>

namespace elastikv::cpu {

/// Memory for weights, aligned to 64 bytes, which the system is asked to map in pages of 2 MiB,
/// many matrices to a page: reading a model's weights once per token, the processor otherwise
/// spends a tenth of the time on address translation (measured on a virtual machine).
std::shared_ptr<void> weight_memory(size_t bytes);

}  // namespace elastikv::cpu
