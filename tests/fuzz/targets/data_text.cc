// The input is a plain text that is cut into windows; its first byte chooses how.

#include "datasets/dataset.h"
#include "fuzz/support/contract.h"
#include "fuzz/support/data_promises.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  DataOptions options;
  options.context_words = 1 + (data[0] & 7);
  options.answer_words = 1 + (data[0] >> 3 & 3);
  if ((data[0] & 32) != 0) options.on_problem = OnProblem::kRecord;
  fuzz::read_data_file("data.txt", fuzz::text_of(data + 1, size - 1), options);
  return 0;
}
