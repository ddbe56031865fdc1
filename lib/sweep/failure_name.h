#pragma once

#include <string_view>

#include "sweep/cell.h"

namespace elastikv {

/// The word for a kind of failure in a record's "status".
std::string_view failure_name(Failure failure);

}  // namespace elastikv
