#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "sweep/config.h"
#include "sweep/engine.h"
#include "sweep/plan.h"

namespace elastikv {

/// The parts of the program (base/revisions.h) that the records of a group depend on, sorted: its
/// model's and strategies', the reader of its data, its metrics.
std::vector<std::string> parts_of(const SweepConfig& config, const CellGroup& group,
                                  const DataSet& data, const Engines& engines);

/// "metric/ppl:1 reader/qa:1": for keys.
std::string revisions_text(std::span<const std::string> parts);

void add_revisions(std::span<const std::string> parts, std::map<std::string, int64_t>& revisions);

}  // namespace elastikv
