// The input is a line of records.jsonl. What is read is written again, which reads back as the
// same.

#include <string>
#include <vector>

#include "base/error.h"
#include "fuzz/support/contract.h"
#include "sweep/records.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::vector<std::string> metrics{"rouge-l-pltrdy"};
  Record record;
  if (!fuzz::accepted(
          [&] { record = parse_record(fuzz::text_of(data, size), metrics, "records.jsonl:1"); })) {
    return 0;
  }
  const std::string line = record_line(record, metrics);
  // Not in accepted(): what the program wrote itself it must be able to read.
  const Record again = parse_record(line, metrics, "records.jsonl:1");
  fuzz::require(record_line(again, metrics) == line, "a record reads back as itself");
  return 0;
}
