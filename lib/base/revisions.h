#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace elastikv {

/// The revision of what a part of the program computes: 1 at first, raised whenever the part gives
/// other results for the same input. It is part of record keys and signatures, so that results of
/// different code are never taken for the same measurement. A part is named by its room and name,
/// such as "reader/text", "metric/mean_kl" or "importance/attention".
///
/// tests/golden/revisions.json keeps a digest of what every part gives for fixed input; a test
/// fails when a digest changes and the revision does not.
int64_t revision_of(std::string_view part);

}  // namespace elastikv
