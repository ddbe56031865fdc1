#pragma once

#include <optional>
#include <vector>

#include "report/comparison.h"
#include "report/measures.h"
#include "report/summary.h"
#include "sweep/config.h"

namespace elastikv {

/// A run with what is computed from it once for all tables.
struct ReadRun {
  const ComparedRun& run;
  std::optional<SweepConfig> config;
  std::vector<Measure> measures;
  std::vector<GroupSummary> groups;
};

// Nothing that a user asked for may be without effect: each is an Error that says what there is.

/// A table that was asked for and stands beside no run.
void require_match(const TableComparison& comparison, const std::vector<ReadRun>& runs);
/// A run that no table stands beside.
void require_used(const ReadRun& read, const std::vector<PublishedTable>& tables,
                  const std::vector<TableComparison>& comparisons);
/// A name that no table has, or that no run has.
void require_known_names(const ComparisonNames& names, const std::vector<PublishedTable>& tables,
                         const std::vector<ReadRun>& runs);

}  // namespace elastikv
