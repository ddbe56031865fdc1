#include "runtime/stop_texts.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"

namespace elastikv {
namespace {

class StopTextsOfBytes : public testing::Test {
 protected:
  StopTextsOfBytes() {
    folder_.write("tokenizer.json", tiny_tokenizer().dump());
    tokenizer_ = load_tokenizer(folder_.path());
  }
  /// After how many tokens, one a byte, a text ends; 0: it does not.
  size_t ends_after(StopTexts& stop, size_t sequence, const std::string& text) const {
    size_t count = 0;
    for (const int64_t id : tokenizer_->encode(text)) {
      ++count;
      if (stop.add(sequence, id)) return count;
    }
    return 0;
  }

  TemporaryFolder folder_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(StopTextsOfBytes, EndATextWithTheTokenThatCompletesOne) {
  StopTexts stop({"\n\n", "Question:"}, *tokenizer_, 3);
  EXPECT_EQ(ends_after(stop, 0, "yes\n\nno"), 5U);
  EXPECT_EQ(ends_after(stop, 1, "a\nb Question: c"), 13U);
  EXPECT_EQ(ends_after(stop, 2, "a\nb\nQuestion"), 0U);
  // What a sequence has written before counts, and no other sequence's.
  EXPECT_EQ(ends_after(stop, 2, ":"), 1U);
}

TEST_F(StopTextsOfBytes, CutAtTheFirstOfThem) {
  const StopTexts stop({"\n", "."}, *tokenizer_, 1);
  EXPECT_EQ(stop.cut("one. two\nthree"), "one");
  EXPECT_EQ(stop.cut("one\ntwo."), "one");
  EXPECT_EQ(stop.cut("one"), "one");
  EXPECT_EQ(stop.cut("\n two\nthree"), "\n two");
  EXPECT_EQ(stop.cut("\n"), "\n");
}

}  // namespace
}  // namespace elastikv
