#pragma once

#include <ATen/detail/PrivateUse1HooksInterface.h>

namespace elastikv::emulated {

/// What LibTorch asks of an accelerator beside its operators.
at::PrivateUse1HooksInterface& hooks();

}  // namespace elastikv::emulated
