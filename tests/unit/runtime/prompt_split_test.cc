// Where a prompt is cut for its compression, with a tokenizer whose tokens are bytes.
#include "runtime/prompt_split.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/prompt_encoder.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"

namespace elastikv {
namespace {

class CompressAtSplit : public testing::Test {
 protected:
  CompressAtSplit() { write_tiny_checkpoint(folder_, "model", /*images=*/true); }

  PromptReader reader(ImagePlace place = ImagePlace::kDefault) const {
    PromptSettings settings;
    settings.place = place;
    return {folder_.path() / "model", settings};
  }
  /// What is compressed and what comes later of a prompt, as text.
  static std::vector<std::string> parts(const PromptReader& reader, const AskedText& asked,
                                        const std::vector<ImageSize>& images,
                                        CompressAt at = CompressAt::kBeforeQuestion) {
    const TokenizedPrompt prompt = reader.tokenize(asked.text, images);
    const int64_t tokens = tokens_before(at, reader, asked, images, prompt, "the prompt");
    const TokenizedPrompt first = first_tokens(prompt, tokens);
    EXPECT_EQ(first.images, prompt.images);
    const std::vector<int64_t> behind = ids_behind(prompt, tokens);
    EXPECT_EQ(first.ids.size() + behind.size(), prompt.ids.size());
    return {reader.tokenizer().decode(first.ids, /*skip_special=*/false),
            reader.tokenizer().decode(behind, /*skip_special=*/false)};
  }

  static void refuse(const PromptReader& reader, const AskedText& asked,
                     const std::vector<ImageSize>& images, const std::string& why) {
    const TokenizedPrompt prompt = reader.tokenize(asked.text, images);
    EXPECT_ERROR(
        tokens_before(CompressAt::kBeforeQuestion, reader, asked, images, prompt, "the prompt"),
        "the prompt " + why);
  }

  TemporaryFolder folder_;
  const std::vector<ImageSize> one_{{192, 192}};
  const std::vector<ImageSize> none_;
};

TEST_F(CompressAtSplit, TheQuestionAndWhatClosesItsTurnComeLater) {
  const PromptReader reader = this->reader();
  const std::vector<std::string> image = parts(reader, {"What is here?", 0}, one_);
  EXPECT_TRUE(image[1].starts_with("What is here?")) << image[1];
  const std::vector<std::string> placed = parts(reader, {"<image>\nA?", 0}, one_);
  EXPECT_EQ(placed[0], image[0]);
  EXPECT_TRUE(placed[1].starts_with("A?")) << placed[1];
  const std::vector<std::string> context = parts(reader, {"The sky is blue.\nIs it?", 17}, none_);
  EXPECT_TRUE(context[0].ends_with("The sky is blue.\n")) << context[0];
  EXPECT_TRUE(context[1].starts_with("Is it?")) << context[1];
  // What is compressed of a context does not depend on what is asked.
  EXPECT_EQ(parts(reader, {"The sky is blue.\n#?", 17}, none_)[0], context[0]);
}

TEST_F(CompressAtSplit, OrTheLastTokenAloneOrNothing) {
  const PromptReader reader = this->reader();
  const std::vector<std::string> last =
      parts(reader, {"What?", 0}, one_, CompressAt::kBeforeLastToken);
  const TokenizedPrompt prompt = reader.tokenize("What?", one_);
  EXPECT_EQ(tokens_before(CompressAt::kPromptEnd, prompt, ""), std::ssize(prompt.ids));
  EXPECT_EQ(tokens_before(CompressAt::kBeforeLastToken, prompt, ""), std::ssize(prompt.ids) - 1);
  EXPECT_FALSE(last[1].empty());
}

TEST_F(CompressAtSplit, PromptsThatCannotBeCutAreRefused) {
  const PromptReader reader = this->reader();
  refuse(reader, {"What?", 0}, none_,
         "has neither an image nor a context before its question: nothing could be compressed "
         "before it");
  refuse(reader, {"What is in <image>?", 0}, one_,
         "puts text of its question before an image: it cannot be compressed before the question");
  refuse(reader, {"<image>\n", 0}, one_, "has no question behind its image");
  refuse(reader, {"The sky.\n ", 9}, none_, "has no question behind its context");
  const PromptReader behind = this->reader(ImagePlace::kAfter);
  refuse(behind, {"What?", 0}, one_,
         "has its image behind its question, as the prompt format '" + behind.writer().name() +
             "' puts it: it cannot be compressed before the question (image_place: before puts "
             "images first)");
  TokenizedPrompt short_one;
  short_one.ids = {1};
  EXPECT_ERROR(tokens_before(CompressAt::kBeforeLastToken, short_one, "the prompt"),
               "the prompt has one token: nothing is left to be compressed before the last");
  EXPECT_ERROR(tokens_before(CompressAt::kBeforeQuestion, short_one, "the prompt"),
               "the prompt is given as token ids: nobody knows where its question begins");
  TokenizedPrompt ends_with_image;
  ends_with_image.ids = {1, 7, 7};
  ends_with_image.images = {{1, 3}};
  EXPECT_ERROR(tokens_before(CompressAt::kBeforeLastToken, ends_with_image, "the prompt"),
               "the prompt ends with its image: its last token is no text that could come later");
}

TEST(CompressAtMoment, NamesTellMomentsApart) {
  EXPECT_EQ(CompressionMoment().name(), "prompt_end");
  CompressionMoment moment{CompressAt::kBeforeQuestion, QuestionEntries::kKeep};
  EXPECT_EQ(moment.name(), "before_question");
  EXPECT_TRUE(moment.keeps_question());
  moment.question = QuestionEntries::kPolicy;
  EXPECT_EQ(moment.name(), "before_question-policy");
  EXPECT_FALSE(moment.keeps_question());
  EXPECT_EQ(effective(CompressAt::kBeforeQuestion, Budget::fraction(1.0)), CompressAt::kPromptEnd);
  EXPECT_EQ(effective(CompressAt::kBeforeQuestion, Budget::tokens(4)), CompressAt::kBeforeQuestion);
}

}  // namespace
}  // namespace elastikv
