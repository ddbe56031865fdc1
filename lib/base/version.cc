#include "base/version.h"

namespace elastikv {

std::string_view version() { return ELASTIKV_VERSION; }

}  // namespace elastikv
