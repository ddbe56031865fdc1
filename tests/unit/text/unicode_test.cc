#include "text/unicode.h"

#include <gtest/gtest.h>

#include "base/utf8.h"
#include "text/byte_level.h"
#include "text/regex.h"

namespace elastikv {
namespace {

TEST(Utf8, EveryCharacterThereAndBack) {
  for (char32_t character = 0; character <= 0x10FFFF; ++character) {
    std::string text;
    append_utf8(text, character);
    const Utf8Step step = utf8_step(text, 0);
    const bool surrogate = character >= 0xD800 && character <= 0xDFFF;
    ASSERT_EQ(step.valid, !surrogate) << static_cast<uint32_t>(character);
    if (surrogate) continue;
    ASSERT_EQ(step.character, character);
    ASSERT_EQ(step.size, text.size());
    for (size_t size = 1; size < text.size(); ++size) {
      const Utf8Step start = utf8_step(std::string_view(text).substr(0, size), 0);
      ASSERT_TRUE(!start.valid && start.cut_short && start.size == size);
    }
  }
}

TEST(Utf8, BrokenPartsAreReplacedOneByOne) {
  // Expected values by Python: bytes.decode("utf-8", errors="replace").
  EXPECT_EQ(replace_broken_utf8("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(replace_broken_utf8("\xE2\x82"), "\uFFFD");
  EXPECT_EQ(replace_broken_utf8("\xE2\x82x"), "\uFFFDx");
  EXPECT_EQ(replace_broken_utf8("\xC0\xAF"), "\uFFFD\uFFFD");
  EXPECT_EQ(replace_broken_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(replace_broken_utf8("\xF0\x80\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(replace_broken_utf8("\xF0\x9F\x98\xF0\x9F\x98\x80"), "\uFFFD\U0001F600");
  EXPECT_EQ(replace_broken_utf8("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(replace_broken_utf8("\x80\xE9"), "\uFFFD\uFFFD");
  EXPECT_EQ(replace_broken_utf8("plain é 日"), "plain é 日");
}

TEST(ByteLevel, LettersAreReversible) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  const std::string letters = bytes_to_letters(bytes);
  EXPECT_EQ(to_characters(letters).size(), 256U);
  EXPECT_EQ(letters_to_bytes(letters), bytes);
  EXPECT_EQ(bytes_to_letters(" \n\xC3\xA9!"), "ĠĊÃ©!");
  EXPECT_EQ(letters_to_bytes("a b"), std::nullopt);
  EXPECT_EQ(letters_to_bytes("日"), std::nullopt);
}

TEST(Regex, FindsAllMatches) {
  using Spans = std::vector<ByteSpan>;
  EXPECT_EQ(Regex("a+", "f").find_all("aabaa"), (Spans{{0, 2}, {3, 5}}));
  EXPECT_EQ(Regex("é", "f").find_all("éxé"), (Spans{{0, 2}, {3, 5}}));
  // An empty match counts, but not directly behind another one.
  EXPECT_EQ(Regex("a*", "f").find_all("baé"), (Spans{{0, 0}, {1, 2}, {4, 4}}));
  EXPECT_EQ(Regex("a*", "f").find_all(""), (Spans{{0, 0}}));
  EXPECT_EQ(Regex(escape_regex("a.b*[c]\\^"), "f").find_all("axb a.b*[c]\\^"), (Spans{{4, 13}}));
}

}  // namespace
}  // namespace elastikv
