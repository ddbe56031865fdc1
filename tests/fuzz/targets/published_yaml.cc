// The input is a published table: a file of results/published.

#include "base/error.h"
#include "fuzz/support/contract.h"
#include "report/published.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::accepted([&] { parse_published(fuzz::text_of(data, size), "t.yaml", "t"); });
  return 0;
}
