#include "support/paths.h"

#include <cstdlib>

namespace {

std::string below(const char* folder, std::string_view name) {
  std::string path = folder;
  if (!name.empty()) path.append("/").append(name);
  return path;
}

}  // namespace

std::string source_path(std::string_view inside) {
  const char* elsewhere = std::getenv("ELASTIKV_SOURCE_DIR");
  return below(elsewhere != nullptr && *elsewhere != '\0' ? elsewhere : ELASTIKV_SOURCE_DIR,
               inside);
}

std::string program_path(std::string_view name) { return below(ELASTIKV_PROGRAM_DIR, name); }
