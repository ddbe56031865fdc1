#include "text/tokenizer.h"

#include <filesystem>
#include <random>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "golden_lines.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "text/streaming_decoder.h"

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
       {"stampvlm", "qwen2-like", "added-tokens", "llama-like", "unknown-like", "llama-model",
        "llama-model-later", "qwen-tiktoken"}) {
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
  EXPECT_ERROR(load_tokenizer(folder.path()),
               folder.path().string() +
                   ": no tokenizer; tokenizer.json, tokenizer.model, qwen.tiktoken, or vocab.json "
                   "with merges.txt is needed");
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
  const auto with_id = [&](const char* id) {
    return with(fmt::format(R"({{"type": "TemplateProcessing",
        "single": [{{"SpecialToken": {{"id": "x"}}}}, {{"Sequence": {{"id": "A"}}}}],
        "special_tokens": {{"x": {{"ids": [{}]}}}}}})",
                            id)
                    .c_str());
  };
  EXPECT_ERROR(with_id("2"), file + ": key 'post_processor' puts the id 2, which no token has");
  // As an unsigned number it would be read, and turn into -1.
  EXPECT_ERROR(with_id("18446744073709551615"), file +
                                                    ": key 'post_processor.special_tokens.x.ids' "
                                                    "holds 18446744073709551615, an id is needed");
  const auto tokenizer = with(R"({"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}},
                 {"SpecialToken": {"id": "y"}}],
      "special_tokens": {"x": {"ids": [1, 1]}, "y": {"ids": [0]}}})");
  EXPECT_EQ(tokenizer->encode("ab", /*add_special=*/true), (Ids{1, 1, 0, 1, 0}));
  EXPECT_EQ(tokenizer->encode("ab"), (Ids{0, 1}));
  EXPECT_EQ(tokenizer->decode({0, 1, 0}, /*skip_special=*/false), "a b a");
}

void copy_data(const std::string& name, const TemporaryFolder& folder) {
  std::filesystem::copy(kTextData + name, folder.path());
}

TEST(SentencePieceTokenizer, ReadsAddedTokensFromEitherFile) {
  const auto later = load_tokenizer(std::string(kTextData) + "llama-model-later");
  EXPECT_EQ(later->token_to_id("<image>"), 700);
  EXPECT_EQ(later->token_to_id("<tool>"), 701);
  // Named by special_tokens_map.json, in no other file: the next free id.
  EXPECT_EQ(later->token_to_id("<pad>"), 702);
  EXPECT_EQ(later->vocab_size(), 703);
  EXPECT_TRUE(later->is_special(700));
  EXPECT_FALSE(later->is_special(701));
  EXPECT_EQ(later->special_ids().prefix, Ids{1});
  EXPECT_EQ(later->special_ids().suffix, Ids{2});
  const auto first = load_tokenizer(std::string(kTextData) + "llama-model");
  EXPECT_EQ(first->special_ids().prefix, Ids{1});
  EXPECT_TRUE(first->special_ids().suffix.empty());
  EXPECT_EQ(first->id_to_token(702), "<extra>");
  EXPECT_EQ(first->id_to_token(703), std::nullopt);
  EXPECT_EQ(first->token_to_id("<0x0A>"), 13);
}

TEST(SentencePieceTokenizer, StreamsWhereNoSpecialTokenComes) {
  const auto tokenizer = load_tokenizer(std::string(kTextData) + "llama-model");
  StreamingDecoder decoder(*tokenizer, /*skip_special=*/true);
  const auto piece = [&](const char* text) { return tokenizer->token_to_id(text).value(); };
  EXPECT_EQ(decoder.push(1), "");
  EXPECT_EQ(decoder.push(piece("▁a")), "a");
  EXPECT_EQ(decoder.push(piece("▁a")), " a");
  EXPECT_EQ(decoder.push(piece("<0xF0>")), "");
  EXPECT_EQ(decoder.push(piece("<0x9F>")), "");
  EXPECT_EQ(decoder.push(piece("<0x91>")), "");
  EXPECT_EQ(decoder.push(piece("<0x8D>")), "\U0001F44D");
  EXPECT_EQ(decoder.push(piece("<0xF0>")), "");
  EXPECT_EQ(decoder.push(piece("<0x41>")), "\uFFFDA");
  EXPECT_EQ(decoder.push(2), "");
  EXPECT_EQ(decoder.flush(), "");
}

TEST(SentencePieceTokenizer, TextsThatAreNotUtf8AreRefused) {
  // SentencePiece itself takes any bytes.
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "tokenizer.model").string();
  const std::string model = read_file(std::string(kTextData) + "llama-model/tokenizer.model");
  std::string broken = model;
  const size_t piece = broken.find("\u0E2A");
  ASSERT_NE(piece, std::string::npos);
  broken[piece + 1] = '8';
  folder.write("tokenizer.model", broken);
  EXPECT_ERROR(load_tokenizer(folder.path()),
               file + ": piece 529 is not UTF-8; the file is damaged");
  // A later trainer_spec adds its unk_surface to the first.
  folder.write("tokenizer.model", model + "\x12\x04\xE2\x02\x01\xFF");
  EXPECT_ERROR(
      load_tokenizer(folder.path()),
      file + ": unk_surface, the text of unknown tokens, is not UTF-8; the file is damaged");
}

TEST(SentencePieceTokenizer, BadFilesAreNamed) {
  const TemporaryFolder folder;
  const std::string path = folder.path().string();
  EXPECT_ERROR(load_tokenizer(std::string(kTextData) + "unigram-model"),
               std::string(kTextData) +
                   "unigram-model/tokenizer.model: is a SentencePiece model of type unigram, which "
                   "is not supported; supported: BPE");
  for (const char* bytes : {"\x7F", "\x0A\x7Fxyz", "\x12\x02\x18", "version https://git-lfs"}) {
    folder.write("tokenizer.model", bytes);
    EXPECT_ERROR(
        load_tokenizer(folder.path()),
        path +
            "/tokenizer.model: is no SentencePiece model (the file is cut short or another "
            "kind of file)");
  }
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "GemmaTokenizer"})");
  EXPECT_ERROR(
      load_tokenizer(folder.path()),
      path +
          "/tokenizer_config.json: key 'tokenizer_class' is 'GemmaTokenizer', which is not "
          "supported beside a tokenizer.model; supported: LlamaTokenizer, "
          "LlamaTokenizerFast");
  std::filesystem::remove(folder.path() / "tokenizer_config.json");
  std::filesystem::remove(folder.path() / "tokenizer.model");
  copy_data("llama-model", folder);
  const auto with = [&](const Json& config) {
    folder.write("tokenizer_config.json", config.dump());
    load_tokenizer(folder.path());
  };
  const std::string config = path + "/tokenizer_config.json: key ";
  EXPECT_ERROR(with({{"bos_token", 3}}),
               config + "'bos_token' is number, a text or an object with 'content' is needed");
  EXPECT_ERROR(with({{"bos_token", nullptr}}),
               config + "'bos_token' is null, but add_bos_token asks for it");
  EXPECT_ERROR(with({{"added_tokens_decoder", {{"x", {{"content", "<x>"}}}}}}),
               config + "'added_tokens_decoder.x' is no id: an integer is needed as the key");
  EXPECT_ERROR(with({{"added_tokens_decoder", {{"-4", {{"content", "<x>"}}}}}}),
               config +
                   "'added_tokens_decoder.-4' has the id -4, an integer from 0 to 16777215 is "
                   "needed");
  EXPECT_ERROR(with({{"added_tokens_decoder", {{"5", {{"content", "<s>"}}}}}}),
               config +
                   "'added_tokens_decoder.5' has the id 5, but the vocabulary gives '<s>' the "
                   "id 1");
  EXPECT_ERROR(
      with({{"added_tokens_decoder", {{"700", {{"content", "<x>"}, {"single_word", true}}}}}}),
      config +
          "'added_tokens_decoder.700.single_word' is true, which is not supported beside a "
          "tokenizer.model");
  folder.write("added_tokens.json", R"({"<a>": 700, "<b>": 700})");
  EXPECT_ERROR(with(Json::object()), path +
                                         "/added_tokens.json: key '<b>' has the id 700, which is "
                                         "already the id of '<a>'");
}

/// A tiktoken file of all bytes, in order, and what follows.
std::string tiktoken_file(const std::string& more) {
  std::ifstream file(std::string(kTextData) + "qwen-tiktoken/qwen.tiktoken");
  std::string text;
  std::string line;
  for (int i = 0; i < 256 && std::getline(file, line); ++i) text += line + "\n";
  return text + more;
}

TEST(TiktokenTokenizer, SpecialTokensFollowTheRanks) {
  const TemporaryFolder folder;
  folder.write("qwen.tiktoken", tiktoken_file(""));
  const auto tokenizer = load_tokenizer(folder.path());
  // The published file has 151643 ranks: <|im_start|> is 151644, <img> 151857 there.
  const int64_t shift = 151643 - 256;
  EXPECT_EQ(tokenizer->token_to_id("<|endoftext|>"), 151643 - shift);
  EXPECT_EQ(tokenizer->token_to_id("<|im_start|>"), 151644 - shift);
  EXPECT_EQ(tokenizer->token_to_id("<|im_end|>"), 151645 - shift);
  EXPECT_EQ(tokenizer->token_to_id("<|extra_0|>"), 151646 - shift);
  EXPECT_EQ(tokenizer->token_to_id("<|extra_204|>"), 151850 - shift);
  EXPECT_EQ(tokenizer->token_to_id("<ref>"), 151851 - shift);
  EXPECT_EQ(tokenizer->token_to_id("<img>"), 151857 - shift);
  EXPECT_EQ(tokenizer->token_to_id("</img>"), 151858 - shift);
  EXPECT_EQ(tokenizer->token_to_id("<imgpad>"), 151859 - shift);
  EXPECT_EQ(tokenizer->vocab_size(), 151860 - shift);
  EXPECT_TRUE(tokenizer->is_special(256));
  EXPECT_FALSE(tokenizer->is_special(255));
  EXPECT_EQ(tokenizer->encode("a<img>\n"), (Ids{'a', 151857 - shift, '\n'}));
  // e and U+0301 become one letter of two bytes.
  EXPECT_EQ(tokenizer->encode("e\u0301"), (Ids{0xC3, 0xA9}));
}

TEST(TiktokenTokenizer, SameTokenByOtherPairsHasOneRank) {
  // "aaa" from (aa, a) and from (a, aa): the leftmost pair of the lowest rank goes first.
  const TemporaryFolder folder;
  folder.write("qwen.tiktoken", tiktoken_file("YWE= 256\nYWFh 257\nYWFhYQ== 258\n"));
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->encode("aaaaa"), (Ids{256, 257}));
  EXPECT_EQ(tokenizer->encode("aaaa"), Ids{258});
}

TEST(TiktokenTokenizer, BadLinesAreNamed) {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "qwen.tiktoken").string();
  const auto with = [&](const std::string& more) {
    folder.write("qwen.tiktoken", tiktoken_file(more));
    load_tokenizer(folder.path());
  };
  EXPECT_ERROR(with("YW= 256\n"),
               file + ":257: 'YW= 256' is no token; base64, a blank and a rank are needed");
  EXPECT_ERROR(with("YW*= 256\n"),
               file + ":257: 'YW*= 256' is no token; base64, a blank and a rank are needed");
  EXPECT_ERROR(with("YWE=\n"),
               file + ":257: 'YWE=' is no token; base64, a blank and a rank are needed");
  EXPECT_ERROR(with("YWE= 256 x\n"),
               file + ":257: 'YWE= 256 x' is no token; base64, a blank and a rank are needed");
  EXPECT_ERROR(with("YWE= 3\n"), file + ":257: has the rank 3, which is already that of line 4");
  EXPECT_ERROR(with("YQ== 256\n"), file + ":257: is the token of line 98 once more");
  EXPECT_ERROR(with("YWE= 9999\n"),
               file + ":257: has the rank 9999, but the file has only 258 lines");
  EXPECT_ERROR(with("YWE= 257\n"), file + ": no token has the rank 256");
  folder.write("qwen.tiktoken", "YQ== 0\n");
  EXPECT_ERROR(load_tokenizer(folder.path()), file + ": no token is the byte 0x00");
}

TEST(ByteLevelFiles, BadFilesAreNamed) {
  const TemporaryFolder folder;
  const std::string path = folder.path().string();
  folder.write("vocab.json", R"({"a": 0, "b": 1, "ab": 2})");
  folder.write("merges.txt", "#version: 0.2\na b\n");
  EXPECT_ERROR(load_tokenizer(folder.path()),
               path +
                   "/tokenizer_config.json: key 'tokenizer_class' is missing (a string is "
                   "needed)");
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "BertTokenizer"})");
  EXPECT_ERROR(load_tokenizer(folder.path()),
               path +
                   "/tokenizer_config.json: key 'tokenizer_class' is 'BertTokenizer', which is not "
                   "supported beside a vocab.json; supported: GPT2Tokenizer, GPT2TokenizerFast, "
                   "Qwen2Tokenizer, Qwen2TokenizerFast");
  folder.write("tokenizer_config.json",
               R"({"tokenizer_class": "GPT2Tokenizer", "add_bos_token": true})");
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->encode("ab", /*add_special=*/true), (Ids{3, 2}));
  EXPECT_EQ(tokenizer->id_to_token(3), "<|endoftext|>");
  folder.write("merges.txt", "#version: 0.2\na b\r\n\na  b\n");
  EXPECT_ERROR(load_tokenizer(folder.path()),
               path +
                   "/merges.txt:4: 'a  b' is no merge; two tokens with a blank between are "
                   "needed");
  folder.write("merges.txt", "a c\n");
  EXPECT_ERROR(load_tokenizer(folder.path()),
               path +
                   "/vocab.json: entry 0 of model.merges names 'c', which is not in the "
                   "vocabulary");
  std::filesystem::remove(folder.path() / "merges.txt");
  EXPECT_ERROR_CONTAINS(load_tokenizer(folder.path()), ": no tokenizer; ");
}

TEST(Tokenizer, HashCoversEveryFileThatCounts) {
  const TemporaryFolder folder;
  folder.write("vocab.json", "{}");
  folder.write("merges.txt", "");
  const std::string bare = tokenizer_hash(folder.path());
  folder.write("tokenizer_config.json", "{}");
  const std::string configured = tokenizer_hash(folder.path());
  EXPECT_NE(configured, bare);
  folder.write("tokenizer.json", "{}");
  EXPECT_EQ(tokenizer_hash(folder.path()), file_hash(folder.path() / "tokenizer.json"));
}

}  // namespace
}  // namespace elastikv
