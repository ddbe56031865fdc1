// The input is a sweep file. What is read is written as sweep.json keeps it, which reads back as
// the same.

#include "base/error.h"
#include "fuzz/support/contract.h"
#include "sweep/config.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  SweepConfig config;
  if (!fuzz::accepted([&] { config = parse_sweep(fuzz::text_of(data, size), "s.yaml"); })) return 0;
  const std::string json = config.json();
  // Not in accepted(): what the program wrote itself it must be able to read.
  const SweepConfig again = parse_sweep(json, "sweep.json");
  fuzz::require(again.json() == json, "a sweep's JSON reads back as itself");
  fuzz::require(again.records_hash() == config.records_hash(), "and means the same records");
  return 0;
}
