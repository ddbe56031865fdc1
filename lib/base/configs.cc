#include "base/configs.h"

#include <cstdlib>

namespace elastikv {

std::filesystem::path configs_folder() {
  const char* configs = std::getenv("ELASTIKV_CONFIGS");
  return configs != nullptr && *configs != '\0' ? configs : ELASTIKV_SOURCE_CONFIGS;
}

}  // namespace elastikv
