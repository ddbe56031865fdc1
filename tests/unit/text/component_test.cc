// Normalizers, pre-tokenizers and decoders one by one, as Hugging Face's tokenizers behave.

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json_fields.h"
#include "golden_lines.h"
#include "support/expect_error.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;

JsonFields fields_of(const nlohmann::json& part, const std::string& key) {
  return {part, "f.json", key};
}

TEST(Components, PreTokenizers) {
  size_t kinds = 0;
  for (const auto& line : golden_lines("components.jsonl")) {
    if (!line.contains("pre_tokenizer")) continue;
    ++kinds;
    const auto cutter = make_pre_tokenizer(fields_of(line["pre_tokenizer"], "pre_tokenizer"));
    for (const auto& example : line["cases"]) {
      const auto text = example[0].get<std::string>();
      std::vector<TextPiece> pieces;
      if (!text.empty()) pieces.push_back({text, /*at_start=*/true});
      Texts texts;
      for (const TextPiece& piece : cutter->split(std::move(pieces))) texts.push_back(piece.text);
      EXPECT_EQ(texts, example[1].get<Texts>()) << line["pre_tokenizer"] << example[0];
    }
  }
  EXPECT_GT(kinds, 80);
}

TEST(Components, Normalizers) {
  size_t kinds = 0;
  for (const auto& line : golden_lines("components.jsonl")) {
    if (!line.contains("normalizer")) continue;
    ++kinds;
    const auto normalizer = make_normalizer(fields_of(line["normalizer"], "normalizer"));
    for (const auto& example : line["cases"]) {
      EXPECT_EQ(normalizer->normalize(example[0].get<std::string>()), example[1].get<std::string>())
          << line["normalizer"] << example[0];
    }
  }
  EXPECT_GT(kinds, 12);
}

// Each step multiplies what the one before it made.
TEST(Components, StepsThatMultiplyATextAreStopped) {
  nlohmann::json steps = nlohmann::json::array();
  for (int i = 0; i < 10; ++i) {
    steps.push_back(
        {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(1000, 'a')}});
  }
  const auto normalizer =
      make_normalizer(fields_of({{"type", "Sequence"}, {"normalizers", steps}}, "normalizer"));
  EXPECT_ERROR(normalizer->normalize("aa"),
               "the tokenizer's rules could make more than 1073741824 bytes of a text of 2000000");
}

TEST(Components, Decoders) {
  size_t kinds = 0;
  for (const auto& line : golden_lines("components.jsonl")) {
    if (!line.contains("decoder")) continue;
    ++kinds;
    const auto& part = line["decoder"];
    const auto decoder =
        part.is_null() ? make_blank_decoder() : make_decoder(fields_of(part, "decoder"));
    for (const auto& example : line["cases"]) {
      const auto run = decoder->start(/*fused=*/false);
      Texts pieces;
      for (const auto& token : example[0]) run->push(token.get<std::string>(), pieces);
      run->finish(pieces);
      std::string text;
      for (const std::string& piece : pieces) text += piece;
      EXPECT_EQ(text, example[1].get<std::string>()) << part << example[0];
    }
  }
  EXPECT_GT(kinds, 12);
}

TEST(Components, UnsupportedKindsAreNamed) {
  const auto part = [](const char* text) { return nlohmann::json::parse(text); };
  EXPECT_ERROR(
      make_pre_tokenizer(fields_of(part(R"({"type": "BertPreTokenizer"})"), "pre_tokenizer")),
      "f.json: key 'pre_tokenizer.type' is 'BertPreTokenizer', which is not supported; supported: "
      "ByteLevel, Digits, Metaspace, Punctuation, Sequence, Split, Whitespace, WhitespaceSplit");
  EXPECT_ERROR(
      make_normalizer(fields_of(part(R"({"type": "Sequence", "normalizers": [{"type": "NFC"},
                                         {"type": "Precompiled"}]})"),
                                "normalizer")),
      "f.json: key 'normalizer.normalizers.1.type' is 'Precompiled', which is not supported; "
      "supported: Lowercase, NFC, NFD, NFKC, NFKD, Prepend, Replace, Sequence, Strip, "
      "StripAccents");
  EXPECT_ERROR(make_decoder(fields_of(part(R"({"type": "WordPiece"})"), "decoder")),
               "f.json: key 'decoder.type' is 'WordPiece', which is not supported; supported: "
               "ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Sequence, Strip");
}

TEST(Components, MalformedSettingsAreNamed) {
  const auto cut = [](const char* text) {
    return make_pre_tokenizer(fields_of(nlohmann::json::parse(text), "p"));
  };
  EXPECT_ERROR(
      cut(R"x({"type": "Split", "pattern": {"Regex": "a(b"}, "behavior": "Isolated"})x"),
      "f.json: regular expression 'a(b' is malformed: end pattern with unmatched parenthesis");
  EXPECT_ERROR(cut(R"({"type": "Split", "pattern": {"Glob": "a"}, "behavior": "Isolated"})"),
               "f.json: key 'p.pattern' has neither 'String' nor 'Regex'");
  EXPECT_ERROR(cut(R"({"type": "Split", "pattern": {"String": ""}, "behavior": "Isolated"})"),
               "f.json: key 'p.pattern.String' is empty, a text to look for is needed");
  EXPECT_ERROR(cut(R"({"type": "Split", "pattern": {"String": "a"}, "behavior": "Isolate"})"),
               "f.json: key 'p.behavior' is 'Isolate', no known behavior; did you mean "
               "'Isolated'?");
  EXPECT_ERROR(cut(R"({"type": "Metaspace", "replacement": "__"})"),
               "f.json: key 'p.replacement' is '__', a single character is needed");
  EXPECT_ERROR(cut(R"({"type": "Sequence", "pretokenizers": "none"})"),
               "f.json: key 'p.pretokenizers' is something else, a list of objects is needed");
}

}  // namespace
}  // namespace elastikv
