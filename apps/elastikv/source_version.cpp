#include "source_version.h"

#include "source_commit.h"  // made at every build by cmake/SourceVersion.cmake

namespace elastikv {

std::string source_version() {
  return std::string(ELASTIKV_SOURCE_COMMIT) + (ELASTIKV_SOURCE_MODIFIED ? " (modified)" : "");
}

}  // namespace elastikv
