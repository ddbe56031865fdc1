#pragma once

#include "base/json_fields.h"
#include "kernels/rotary.h"

namespace elastikv {

/// rope_theta at the top of a decoder's configuration (transformers 4), or in rope_parameters
/// (transformers 5), which may also ask for scaling, as rope_scaling does. Error for other scalings
/// than linear and llama3, and for factors that are not above 0.
RotaryRule read_rotary_rule(const JsonFields& config, double default_theta);

}  // namespace elastikv
