#include "fuzz/support/tokenizer_promises.h"

#include <limits>
#include <string>

#include "base/utf8.h"
#include "fuzz/support/contract.h"

namespace elastikv::fuzz {

void round_trip(const Tokenizer& tokenizer, std::string_view text) {
  accepted([&] {
    const std::vector<int64_t> ids = tokenizer.encode(text, /*add_special=*/true);
    for (const int64_t id : ids) {
      require(id >= 0 && id < tokenizer.vocab_size(), "a text's ids are below vocab_size()");
    }
    for (const bool skip_special : {false, true}) {
      require(is_valid_utf8(tokenizer.decode(ids, skip_special)), "decoded text is UTF-8");
    }
  });
}

void use(const Tokenizer& tokenizer) {
  for (const std::string_view text :
       {"", " ", "Hello, world's  12 <image>\n\n<s>x</s>",
        "\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80 e\xCC\x81", "\xFF\xC3 <|im_start|>a\t"}) {
    round_trip(tokenizer, text);
  }
  std::vector<int64_t> ids{0, 1, 2, 3, 255, 256, 257, 1000, std::numeric_limits<int64_t>::max(),
                           -1};
  ids.push_back(tokenizer.vocab_size() - 1);
  ids.push_back(tokenizer.vocab_size());
  accepted([&] {
    require(is_valid_utf8(tokenizer.decode(ids, /*skip_special=*/false)), "decoded text is UTF-8");
    for (const int64_t id : ids) {
      const auto token = tokenizer.id_to_token(id);
      require(!tokenizer.is_special(id) || token.has_value(), "a special token has a spelling");
    }
  });
}

}  // namespace elastikv::fuzz
