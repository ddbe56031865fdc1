#pragma once

#include "datasets/readers.h"

namespace elastikv {

/// Reads a data file by DataOptions::format, or as what it is recognised as, and returns its
/// format. Error when the format is not the one that the options name, is none, or cannot be read
/// with them.
const DataFormat& read_samples(const Reading& reading);

}  // namespace elastikv
