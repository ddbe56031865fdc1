#pragma once

#include <string>
#include <vector>

#include "report/comparison.h"
#include "report/summary.h"

namespace elastikv {

/// The keys that a published table's protocol may have: of a table of sweeps, or of benchmarks.
std::vector<std::string> protocol_keys(bool bench);

/// In what a sweep's group of cells is like a table's protocol, in what not, in the protocol's
/// order after the model and the data set.
std::vector<ProtocolPoint> sweep_protocol(const PublishedTable& table, const PublishedName& model,
                                          const PublishedName& data, const StoredSweep& sweep,
                                          const SweepConfig& config, const GroupSummary& group);

/// The same of a benchmark's model.
std::vector<ProtocolPoint> bench_protocol(const PublishedTable& table, const PublishedName& name,
                                          const StoredBenchModel& model);

}  // namespace elastikv
