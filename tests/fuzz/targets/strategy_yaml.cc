// The input is a preset: a file of configs/strategies.

#include "base/error.h"
#include "base/yaml_fields.h"
#include "fuzz/support/contract.h"
#include "strategies/registry.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::accepted([&] {
    const auto strategy = make_strategy(YamlFields::parse(fuzz::text_of(data, size), "s.yaml"));
    fuzz::require(!strategy->description().empty(), "a strategy describes itself");
  });
  return 0;
}
