#pragma once

#include <string>
#include <vector>

#include "base/keys_fwd.h"
#include "base/value_form.h"
#include "metrics/metric_choice.h"

namespace elastikv {

/// Names of text metrics, none of which may be unknown.
ValueForm<std::vector<std::string>> metric_names_form();

/// The keys of a sweep's section `metrics`.
const Keys<MetricChoice>& metric_keys();

}  // namespace elastikv
