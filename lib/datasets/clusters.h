#pragma once

#include <vector>

#include "datasets/draft.h"

namespace elastikv {

/// Fills Sample::cluster from Draft::shares: samples that share anything, directly or through
/// others, are one cluster, named by the first thing that one of them has. A sample that shares
/// nothing stays a cluster of its own.
void assign_clusters(std::vector<Draft>& drafts);

}  // namespace elastikv
