#pragma once

#include "base/keys_fwd.h"
#include "metrics/metric_choice.h"

namespace elastikv {

/// The keys of a sweep's section `metrics`.
const Keys<MetricChoice>& metric_keys();

}  // namespace elastikv
