#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "strategies/statistics.h"

// Nothing that is ranked by numbers that are not finite means anything, so no strategy is asked to.

namespace elastikv {

/// What of a layer's statistics holds numbers that are not finite, as the fields of a request.
/// Reads each once.
StatisticsRequest non_finite_of(const LayerStatistics& layer);

/// Error, naming the first layer, when one of the layers' statistics that the request asks for are
/// not finite. `non_finite`: non_finite_of every layer.
void require_finite(const StatisticsRequest& request,
                    const std::vector<StatisticsRequest>& non_finite);

/// Error when a layer's importance is not finite: whatever is kept by it would be arbitrary.
/// `first_layer`: the layer that scores[0] belongs to.
void require_finite_scores(const std::vector<at::Tensor>& scores, int64_t first_layer = 0);

}  // namespace elastikv
