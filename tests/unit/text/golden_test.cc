// Ids and texts as Hugging Face's tokenizers give them.

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "golden_lines.h"
#include "text/streaming_decoder.h"
#include "text/tokenizer.h"

namespace elastikv {
namespace {

using Ids = std::vector<int64_t>;

class TokenizerGolden : public testing::TestWithParam<const char*> {
 protected:
  static std::unique_ptr<Tokenizer> load() {
    const std::string name = GetParam();
    return load_tokenizer(name == "stampvlm" ? kStampvlm : kTextData + name);
  }
  static std::vector<nlohmann::json> lines() {
    return golden_lines(std::string(GetParam()) + "/golden.jsonl");
  }
};

TEST_P(TokenizerGolden, Encode) {
  const auto tokenizer = load();
  size_t cases = 0;
  for (const auto& line : lines()) {
    if (!line.contains("text")) continue;
    const auto text = line["text"].get<std::string>();
    const Ids expected = line["ids"];
    EXPECT_EQ(tokenizer->encode(text), expected) << line["text"].dump();
    const Ids special = line.value("special_ids", expected);
    EXPECT_EQ(tokenizer->encode(text, /*add_special=*/true), special) << line["text"].dump();
    // The second time the pieces come from the cache.
    EXPECT_EQ(tokenizer->encode(text), expected) << line["text"].dump();
    ++cases;
  }
  EXPECT_GT(cases, std::string(GetParam()) == "stampvlm" ? 300 : 200);
}

TEST_P(TokenizerGolden, Decode) {
  const auto tokenizer = load();
  size_t cases = 0;
  for (const auto& line : lines()) {
    if (!line.contains("decode")) continue;
    const Ids ids = line["decode"];
    EXPECT_EQ(tokenizer->decode(ids, /*skip_special=*/false), line["plain"].get<std::string>())
        << line["decode"].dump();
    EXPECT_EQ(tokenizer->decode(ids, /*skip_special=*/true), line["skip"].get<std::string>())
        << line["decode"].dump();
    ++cases;
  }
  EXPECT_GT(cases, 100);
}

TEST_P(TokenizerGolden, StreamedTextIsTheDecodedText) {
  const auto tokenizer = load();
  StreamingDecoder decoder(*tokenizer, /*skip_special=*/false);
  for (const auto& line : lines()) {
    const Ids ids = line.contains("decode") ? line["decode"] : line["ids"];
    std::string text;
    for (const int64_t id : ids) {
      const std::string part = decoder.push(id);
      EXPECT_TRUE(is_valid_utf8(part)) << line.dump();
      text += part;
    }
    text += decoder.flush();
    if (line.contains("decode")) {
      EXPECT_EQ(text, line["plain"].get<std::string>()) << line.dump();
    } else {
      EXPECT_EQ(text, tokenizer->decode(ids, /*skip_special=*/false)) << line.dump();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, TokenizerGolden,
                         testing::Values("stampvlm", "qwen2-like", "smollm2-like", "llama3-like",
                                         "added-tokens", "llama-like", "unknown-like"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& letter : name) {
                             if (letter == '-') letter = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace elastikv
