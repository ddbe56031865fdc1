#pragma once

#include <memory>
#include <string>
#include <vector>

#include "report/comparison.h"
#include "report/measures.h"
#include "report/summary.h"

namespace elastikv {

/// What a run has to put beside one published number.
class Side {
 public:
  Side() = default;
  Side(const Side&) = delete;
  Side& operator=(const Side&) = delete;
  virtual ~Side() = default;
  /// Labels of the run's strategies, each once, in its order.
  virtual std::vector<std::string> strategies() const = 0;
  /// Fills in ours, its interval and its status; false when the run has no such cell.
  virtual bool fill(const std::string& strategy, const std::string& minus,
                    ComparedValue& value) const = 0;
};

/// A group of a sweep's cells. Where it has budgets of both growths, only those count that the
/// table's protocol names; Error naming the cells when it names none. The arguments have to stay.
std::unique_ptr<Side> sweep_side(const PublishedTable& table, const GroupSummary& group,
                                 const std::vector<Measure>& measures,
                                 const BootstrapChoice& bootstrap);
/// One model of a benchmark. Error as above, of budgets that differ in growth alone.
std::unique_ptr<Side> bench_side(const PublishedTable& table, const StoredBench& bench,
                                 const StoredBenchModel& model);

}  // namespace elastikv
