// The input is a benchmark file. What is read is written as bench.json keeps it, which reads back
// as the same.

#include "base/error.h"
#include "bench/config.h"
#include "fuzz/support/contract.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  BenchConfig config;
  if (!fuzz::accepted([&] { config = parse_bench(fuzz::text_of(data, size), "b.yaml"); })) return 0;
  const std::string json = config.json();
  const BenchConfig again = parse_bench(json, "bench.json");
  fuzz::require(again.json() == json && again.hash() == config.hash(),
                "a benchmark's JSON reads back as itself");
  return 0;
}
