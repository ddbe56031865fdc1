#pragma once

#include <vector>

#include "sweep/config.h"
#include "sweep/engine.h"
#include "sweep/progress.h"
#include "sweep/ranks.h"
#include "sweep/record_writer.h"
#include "sweep/run_groups.h"
#include "sweep/runner.h"

namespace elastikv {

/// One rank's part in a sweep that options.ranks share. `writer`: of rank 0, which owns the folder
/// and has settled what is open; null for the others, who take that from rank 0. `header`: as it
/// would be written. What rank 0 returns is of the whole sweep; the others say in
/// SweepOutcome::other_rank that they have nothing to tell.
///
/// Error for what concerns this rank alone (other settings or weights than rank 0 has, a disk that
/// is full), after it has given its sample back; rank 0 stays until the others are done all the
/// same. Error, too, when rank 0 has ended.
SweepOutcome run_rank(const SweepConfig& config, const RunOptions& options, const Engines& engines,
                      Progress& progress, std::vector<GroupWork>& work, const SweepHeader& header,
                      RecordWriter* writer);

/// A rank ends before it has taken part. Of rank 0: tells the others why it refuses the sweep, and
/// waits a while until they know.
void tell_failure(Ranks& ranks, const std::string& why);

}  // namespace elastikv
