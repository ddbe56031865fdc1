// The input is a bench.json, which `compare` reads.

#include "base/error.h"
#include "fuzz/support/contract.h"
#include "fuzz/support/scratch_folder.h"
#include "report/stored_bench.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::ScratchFolder folder;
  const auto file = folder.write("bench.json", fuzz::text_of(data, size));
  fuzz::accepted([&] { read_stored_bench(file); });
  return 0;
}
