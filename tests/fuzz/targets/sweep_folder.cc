// The input is, with cuts between them, the sweep.json, records.jsonl, samples.jsonl and
// details.jsonl of a sweep's output folder. What is read is made into a report.

#include <vector>

#include "base/error.h"
#include "fuzz/support/contract.h"
#include "fuzz/support/scratch_folder.h"
#include "report/report.h"
#include "sweep/config.h"
#include "sweep/records.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::ScratchFolder folder;
  // More resamplings are legal, and only cost time here.
  constexpr int64_t kMostIterations = 10;
  const std::vector<std::string_view> files = fuzz::parts_of(fuzz::text_of(data, size), 4);
  folder.write("sweep.json", files[0]);
  folder.write("records.jsonl", files[1]);
  folder.write_unless_empty("samples.jsonl", files[2]);
  folder.write_unless_empty("details.jsonl", files[3]);
  fuzz::accepted([&] {
    StoredSweep sweep = read_stored_sweep(folder.path());
    const SweepConfig config = parse_sweep(sweep.header.config, "sweep.json");
    if (config.bootstrap.iterations > kMostIterations) return;
    const Report report = make_report(std::move(sweep));
    fuzz::require(!report.files.empty(), "a report has files");
  });
  return 0;
}
