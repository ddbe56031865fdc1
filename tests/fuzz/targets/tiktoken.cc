// The input is a qwen.tiktoken. What is read encodes and decodes a few texts.

#include "base/error.h"
#include "fuzz/support/contract.h"
#include "fuzz/support/scratch_folder.h"
#include "fuzz/support/tokenizer_promises.h"
#include "text/tokenizer.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::ScratchFolder folder;
  folder.write("qwen.tiktoken", fuzz::text_of(data, size));
  fuzz::accepted([&] { fuzz::use(*load_tokenizer(folder.path())); });
  return 0;
}
