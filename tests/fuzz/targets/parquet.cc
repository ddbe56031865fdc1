// The input is a Parquet file of a data set; its first byte chooses settings.

#include "datasets/dataset.h"
#include "fuzz/support/contract.h"
#include "fuzz/support/data_promises.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  DataOptions options;
  if ((data[0] & 1) != 0) options.on_problem = OnProblem::kRecord;
  if ((data[0] & 2) != 0) options.needs_answers = false;
  if ((data[0] & 4) != 0) options.offset = 1;
  if ((data[0] & 8) != 0) {
    options.columns.emplace();
    options.columns->question = "question";
    options.columns->answer = (data[0] & 16) != 0 ? "answers" : "answer";
    if ((data[0] & 32) != 0) options.columns->options = {"choices"};
    if ((data[0] & 64) != 0) options.columns->images = {"image"};
    if ((data[0] & 128) != 0) options.columns->images = {"images"};
    if ((data[0] & 192) == 192) {
      // Its rows name images of its own.
      options.columns->images = {"id"};
      options.images_from.emplace().path = "data.parquet";
    }
  }
  fuzz::read_data_file("data.parquet", fuzz::text_of(data + 1, size - 1), options);
  return 0;
}
