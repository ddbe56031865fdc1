// The input is a tokenizer.model of SentencePiece, and behind cuts tokenizer_config.json,
// added_tokens.json and special_tokens_map.json. What is read encodes and decodes a few texts.

#include <vector>

#include "base/error.h"
#include "fuzz/support/contract.h"
#include "fuzz/support/scratch_folder.h"
#include "fuzz/support/tokenizer_promises.h"
#include "text/tokenizer.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::ScratchFolder folder;
  const std::vector<std::string_view> files = fuzz::parts_of(fuzz::text_of(data, size), 4);
  folder.write("tokenizer.model", files[0]);
  folder.write_unless_empty("tokenizer_config.json", files[1]);
  folder.write_unless_empty("added_tokens.json", files[2]);
  folder.write_unless_empty("special_tokens_map.json", files[3]);
  fuzz::accepted([&] { fuzz::use(*load_tokenizer(folder.path())); });
  return 0;
}
