#pragma once

#include <vector>

#include "datasets/dataset.h"
#include "datasets/draft.h"

namespace elastikv {

/// Keeps the samples that the options ask for, in the file's order. Error for an id that no sample
/// has and for an offset behind the last one.
void select(std::vector<Draft>& drafts, const DataOptions& options);

}  // namespace elastikv
