#include "text/tokenizer.h"

#include <random>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "golden_lines.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "text/streaming_decoder.h"
#include "text/unicode.h"

namespace elastikv {
namespace {

using Ids = std::vector<int64_t>;
using Json = nlohmann::json;

/// The least tokenizer.json, with some keys set.
std::unique_ptr<Tokenizer> load_with(const TemporaryFolder& folder, const Json& keys) {
  Json file{
      {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}}}, {"merges", Json::array()}}}};
  file.update(keys);
  folder.write("tokenizer.json", file.dump());
  return load_tokenizer(folder.path());
}

TEST(Tokenizer, TheDefaultModelsTokens) {
  const auto tokenizer = load_tokenizer(kStampvlm);
  EXPECT_EQ(tokenizer->vocab_size(), 49152);
  EXPECT_EQ(tokenizer->token_to_id("<image>"), 16);
  EXPECT_EQ(tokenizer->id_to_token(16), "<image>");
  EXPECT_EQ(tokenizer->id_to_token(49152), std::nullopt);
  EXPECT_EQ(tokenizer->id_to_token(-1), std::nullopt);
  EXPECT_EQ(tokenizer->token_to_id("no such token"), std::nullopt);
  EXPECT_TRUE(tokenizer->is_special(2));
  EXPECT_FALSE(tokenizer->is_special(17));
  EXPECT_FALSE(tokenizer->is_special(-5));
  EXPECT_TRUE(tokenizer->special_ids().prefix.empty());
  for (int64_t id = 0; id < tokenizer->vocab_size(); ++id) {
    ASSERT_EQ(tokenizer->token_to_id(tokenizer->id_to_token(id).value()), id);
  }
}

TEST(Tokenizer, LongWordsKeepEveryLetter) {
  const auto tokenizer = load_tokenizer(kStampvlm);
  std::mt19937 draw(3);
  std::string word(100000, 'a');
  for (char& letter : word) letter = static_cast<char>('a' + draw() % 26);
  for (const std::string& text : {word, std::string(100000, 'x'), std::string(100000, ' ')}) {
    const Ids ids = tokenizer->encode(text);
    EXPECT_LT(ids.size(), text.size());
    EXPECT_EQ(tokenizer->decode(ids, /*skip_special=*/false), text);
  }
}

TEST(Tokenizer, RandomBytesAndIdsAreHarmless) {
  std::mt19937 draw(17);
  for (const std::string name :
       {"stampvlm", "qwen2-like", "added-tokens", "llama-like", "unknown-like"}) {
    const auto tokenizer = load_tokenizer(name == "stampvlm" ? kStampvlm : kTextData + name);
    for (int round = 0; round < 300; ++round) {
      std::string bytes(draw() % 60, '\0');
      for (char& byte : bytes) byte = static_cast<char>(draw() % (round % 2 == 0 ? 256 : 128));
      const Ids ids = tokenizer->encode(bytes);
      EXPECT_EQ(ids, tokenizer->encode(replace_broken_utf8(bytes)));
      EXPECT_TRUE(is_valid_utf8(tokenizer->decode(ids, /*skip_special=*/true)));

      Ids random(draw() % 30);
      for (int64_t& id : random) id = static_cast<int64_t>(draw() % 60000) - 100;
      if (round % 3 == 0) random.push_back(INT64_MAX);
      StreamingDecoder decoder(*tokenizer, /*skip_special=*/false);
      std::string text;
      for (const int64_t id : random) {
        const std::string part = decoder.push(id);
        EXPECT_TRUE(is_valid_utf8(part));
        text += part;
      }
      text += decoder.flush();
      EXPECT_EQ(text, tokenizer->decode(random, /*skip_special=*/false));
    }
  }
}

TEST(Tokenizer, RoundTripOfByteLevelText) {
  // With all 256 bytes in the vocabulary and no normalizer, any valid text comes back. (The default
  // model's vocabulary has no token for some bytes, such as most control characters.)
  const auto tokenizer = load_tokenizer(std::string(kTextData) + "smollm2-like");
  std::mt19937 draw(23);
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (unsigned i = draw() % 20; i > 0; --i) {
      char32_t character = draw() % (round % 2 == 0 ? 0x300 : 0x110000);
      if (character >= 0xD800 && character <= 0xDFFF) character = 'x';
      append_utf8(text, character);
    }
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text), /*skip_special=*/false), text);
  }
}

TEST(Tokenizer, ThreadsShareIt) {
  const auto tokenizer = load_tokenizer(std::string(kTextData) + "qwen2-like");
  const std::string text = "There is nothing on the left side, the owl said 42 times.";
  const Ids expected = tokenizer->encode(text);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string mine = std::to_string(t * 1000 + i) + "w";
        wrong[t] += tokenizer->encode(text) != expected;
        wrong[t] += tokenizer->decode(tokenizer->encode(mine), /*skip_special=*/false) != mine;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(StreamingDecoder, HoldsBackPartsOfCharacters) {
  const auto tokenizer = load_tokenizer(kStampvlm);
  const auto byte = [&](const char* letter) { return tokenizer->token_to_id(letter).value(); };
  StreamingDecoder decoder(*tokenizer, /*skip_special=*/true);
  // U+1F44D is F0 9F 91 8D; 0x9F, 0x91 and 0x8D are spelled with stand-in letters.
  EXPECT_EQ(decoder.push(byte("ð")), "");
  EXPECT_EQ(decoder.push(byte("Ł")), "");
  EXPECT_EQ(decoder.push(byte("ĳ")), "");
  EXPECT_EQ(decoder.push(byte("į")), "\U0001F44D");
  EXPECT_EQ(decoder.push(byte("a")), "a");
  EXPECT_EQ(decoder.push(2), "");
  EXPECT_EQ(decoder.push(byte("ð")), "");
  EXPECT_EQ(decoder.push(byte("b")), "\uFFFDb");
  EXPECT_EQ(decoder.push(byte("ð")), "");
  EXPECT_EQ(decoder.flush(), "\uFFFD");
  EXPECT_EQ(decoder.flush(), "");
  EXPECT_EQ(decoder.push(byte("c")), "c");
}

TEST(Tokenizer, MissingAndMalformedFilesAreNamed) {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "tokenizer.json").string();
  EXPECT_ERROR_CONTAINS(load_tokenizer(folder.path()), file);
  folder.write("tokenizer.model", "x");
  EXPECT_ERROR(load_tokenizer(folder.path()),
               folder.path().string() +
                   ": there is tokenizer.model but no tokenizer.json, the only form of tokenizer "
                   "that is read");
  folder.write("tokenizer.json", "{\"model\": {");
  EXPECT_ERROR_CONTAINS(load_tokenizer(folder.path()), file + ":1:");
  folder.write("tokenizer.json", "{\"model\": {\"vocab\": {\"\xFF\": 0}}}");
  EXPECT_ERROR_CONTAINS(load_tokenizer(folder.path()), file + ":1:");
  folder.write("tokenizer.json", "{}");
  EXPECT_ERROR(load_tokenizer(folder.path()),
               file + ": key 'model' is missing (an object is needed)");
  folder.write("tokenizer.json", R"({"model": {"type": "BPE", "vocab": {}, "merges": []},
                                     "normalizer": "NFC"})");
  EXPECT_ERROR(load_tokenizer(folder.path()),
               file + ": key 'normalizer' is string, an object is needed");
}

TEST(Tokenizer, MalformedAddedTokensAreNamed) {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "tokenizer.json").string();
  const auto with = [&](Json tokens) {
    return load_with(folder, {{"added_tokens", std::move(tokens)}});
  };
  EXPECT_ERROR(with({{{"id", -1}, {"content", "<x>"}}}),
               file + ": key 'added_tokens.0.id' is -1, an integer from 0 to 16777215 is needed");
  EXPECT_ERROR(with({{{"id", 2}, {"content", ""}}}),
               file + ": key 'added_tokens.0.content' is empty");
  EXPECT_ERROR(with({{{"id", 1}, {"content", "a"}}}),
               file + ": key 'added_tokens.0.id' is 1, but model.vocab gives 'a' the id 0");
  EXPECT_ERROR(with({{{"id", 1}, {"content", "<x>"}}}),
               file + ": key 'added_tokens.0.id' is 1, which is already the id of 'b'");
  EXPECT_ERROR(with({{{"id", 5}, {"content", "<x>"}}, {{"id", 5}, {"content", "<y>"}}}),
               file + ": key 'added_tokens.1.id' is 5, which is already the id of '<x>'");
  EXPECT_EQ(with({{{"id", 7}, {"content", "<x>"}}})->vocab_size(), 8);
}

TEST(Tokenizer, MalformedPostProcessorsAreNamed) {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "tokenizer.json").string();
  const auto with = [&](const char* text) {
    return load_with(folder, {{"post_processor", Json::parse(text)}});
  };
  EXPECT_ERROR(with(R"({"type": "BertProcessing"})"),
               file +
                   ": key 'post_processor.type' is 'BertProcessing', which is not supported; "
                   "supported: ByteLevel, Sequence, TemplateProcessing");
  EXPECT_ERROR(
      with(R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}]})"),
      file + ": key 'post_processor.special_tokens.<s>' is missing (an object is needed)");
  EXPECT_ERROR(with(R"({"type": "TemplateProcessing", "single": []})"),
               file + ": key 'post_processor.single' does not name the text");
  const auto tokenizer = with(R"({"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}},
                 {"SpecialToken": {"id": "y"}}],
      "special_tokens": {"x": {"ids": [1, 1]}, "y": {"ids": [0]}}})");
  EXPECT_EQ(tokenizer->encode("ab", /*add_special=*/true), (Ids{1, 1, 0, 1, 0}));
  EXPECT_EQ(tokenizer->encode("ab"), (Ids{0, 1}));
  EXPECT_EQ(tokenizer->decode({0, 1, 0}, /*skip_special=*/false), "a b a");
}

}  // namespace
}  // namespace elastikv
