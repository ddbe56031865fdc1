// The first byte chooses one of the tests' small tokenizers, of every kind; the rest is a text to
// encode, and is taken for ids to decode.

#include <memory>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "fuzz/support/contract.h"
#include "fuzz/support/tokenizer_promises.h"
#include "support/paths.h"
#include "text/tokenizer.h"

using namespace elastikv;

namespace {

std::vector<std::unique_ptr<Tokenizer>> load_all() {
  std::vector<std::unique_ptr<Tokenizer>> all;
  for (const char* name :
       {"gpt2-files", "llama-like", "llama-model", "llama3-like", "qwen-tiktoken", "qwen2-files",
        "qwen2-like", "smollm2-like", "unknown-like", "added-tokens"}) {
    all.push_back(load_tokenizer(source_path("tests/unit/text/data/") + name));
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<std::unique_ptr<Tokenizer>> tokenizers = load_all();
  if (size == 0) return 0;
  const Tokenizer& tokenizer = *tokenizers[data[0] % tokenizers.size()];
  fuzz::round_trip(tokenizer, fuzz::text_of(data + 1, size - 1));
  std::vector<int64_t> ids;
  for (size_t i = 1; i + 1 < size; i += 2) ids.push_back(data[i] * 256 + data[i + 1]);
  fuzz::require(is_valid_utf8(tokenizer.decode(ids, /*skip_special=*/true)),
                "decoded text is UTF-8");
  return 0;
}
