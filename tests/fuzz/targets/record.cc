// The input is a line of records.jsonl, samples.jsonl or details.jsonl, or a sweep.json. What is
// read is written again, which reads back as the same.

#include <string>

#include "base/error.h"
#include "fuzz/support/contract.h"
#include "metrics/metric_set.h"
#include "sweep/records.h"

using namespace elastikv;

namespace {

/// `write` is not inside accepted(), and neither is reading what it gave: what the program wrote
/// itself it must be able to read.
template <typename Read, typename Write>
void reads_back(const Read& read, const Write& write, std::string_view input) {
  decltype(read(input)) value;
  if (!fuzz::accepted([&] { value = read(input); })) return;
  const std::string written = write(value);
  fuzz::require(write(read(written)) == written, "what is written reads back as itself");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input = fuzz::text_of(data, size);
  static const Scorers scorers = MetricSet(MetricChoice{}).scorers();
  const std::string place = "file:1";
  reads_back([&](std::string_view text) { return parse_record(text, scorers, place); },
             [&](const Record& record) { return record_line(record, scorers); }, input);
  reads_back(
      [&](std::string_view text) { return parse_sample_line(text, place); },
      [](const SampleEntry& entry) { return sample_line(entry.data, entry.sample, entry.model); },
      input);
  reads_back([&](std::string_view text) { return parse_detail_line(text, place); },
             [](const StoredDetail& detail) { return detail_line(detail); }, input);
  reads_back([&](std::string_view text) { return parse_header(text, place); },
             [](const SweepHeader& header) { return header_text(header); }, input);
  return 0;
}
