// The input is a data file in JSON or JSON lines, of any of the formats; its first byte chooses
// settings.

#include "datasets/dataset.h"
#include "fuzz/support/contract.h"
#include "fuzz/support/data_promises.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  DataOptions options;
  if ((data[0] & 1) != 0) options.on_problem = OnProblem::kRecord;
  if ((data[0] & 2) != 0) options.turn = "all";
  if ((data[0] & 4) != 0) options.needs_answers = false;
  if ((data[0] & 10) == 10) options.turn = "conversation";
  if ((data[0] & 14) == 14) options.history = HistoryAnswers::kOwn;
  if ((data[0] & 8) != 0) options.image_place = "after";
  if ((data[0] & 16) != 0) options.limit = 2;
  if ((data[0] & 64) != 0) options.ids = RepeatedIds::kRefuse;
  if ((data[0] & 128) != 0) options.image_markers = "<image {n}>";
  fuzz::read_data_file((data[0] & 32) != 0 ? "data.jsonl" : "data.json",
                       fuzz::text_of(data + 1, size - 1), options);
  return 0;
}
