// The input is, with cuts between them, a vocab.json, a merges.txt, a tokenizer_config.json, an
// added_tokens.json and a special_tokens_map.json. What is read encodes and decodes a few texts.

#include <vector>

#include "base/error.h"
#include "fuzz/support/contract.h"
#include "fuzz/support/scratch_folder.h"
#include "fuzz/support/tokenizer_promises.h"
#include "text/tokenizer.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::ScratchFolder folder;
  const std::vector<std::string_view> files = fuzz::parts_of(fuzz::text_of(data, size), 5);
  folder.write("vocab.json", files[0]);
  folder.write("merges.txt", files[1]);
  folder.write("tokenizer_config.json", files[2]);
  folder.write_unless_empty("added_tokens.json", files[3]);
  folder.write_unless_empty("special_tokens_map.json", files[4]);
  fuzz::accepted([&] { fuzz::use(*load_tokenizer(folder.path())); });
  return 0;
}
