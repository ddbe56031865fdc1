#pragma once

#include <string>

#include "sweep/records.h"

namespace elastikv {

/// What `b` has that keeps its records apart from those of `a`, as in "it has other samples": its
/// name, settings, program, revisions, samples, strategies, a model's engine, or another number of
/// shards. Empty: they are parts of one sweep.
std::string header_difference(const SweepHeader& a, const SweepHeader& b);

}  // namespace elastikv
