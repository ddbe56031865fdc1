// The program on a machine with a GPU: it knows `--device emulated` (see
// support/emulated_device/emulated_device.h). $ELASTIKV_EMULATED_MEMORY limits the device's memory,
// as 64MiB.
#include <cstdlib>
#include <optional>

#include "program.h"
#include "runtime/memory.h"
#include "support/emulated_device/emulated_device.h"

int main(int argc, char** argv) {
  elastikv::emulated::install();
  std::optional<elastikv::emulated::MemoryLimit> limit;
  if (const char* memory = std::getenv("ELASTIKV_EMULATED_MEMORY"))
    limit.emplace(elastikv::parse_bytes(memory, "ELASTIKV_EMULATED_MEMORY"));
  return elastikv::run_program(argc, argv);
}
