// Windows of a model's tokens: how a text is cut, and what every window begins with.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support.h"
#include "support/expect_error.h"
#include "support/paths.h"
#include "text/tokenizer.h"

namespace elastikv {
namespace {

/// Windows of tokens, with a byte-level BPE whose merges cross any place a window may begin at.
class ReadTokens : public testing::Test {
 protected:
  DataSet read(const DataOptions& options) const {
    return read_data(options, /*check_image=*/{}, tokenizer_.get());
  }
  DataOptions windows(int64_t prompt, int64_t answer, std::optional<int64_t> stride = std::nullopt,
                      BosRule bos = BosRule::kAuto) const {
    DataOptions options = files_.with("t.txt", text_);
    options.tokens = TokenWindows{prompt, answer, stride, bos};
    return options;
  }

  Files files_;
  std::unique_ptr<Tokenizer> tokenizer_ =
      load_tokenizer(source_path("tests/unit/text/data/smollm2-like"));
  std::string text_ =
      "The caterpillar and Alice looked at each other for some time in silence;\n\n  at last the "
      "caterpillar took the hookah out of its mouth, na\u00efve \u732b <|im_end|> and so on.\n";
};

TEST_F(ReadTokens, AreTheFilesIdsCutInPieces) {
  const std::vector<int64_t> all = tokenizer_->encode(text_);
  const auto count = static_cast<int64_t>(all.size());
  ASSERT_GT(count, 30);
  int64_t retokenized_differently = 0;
  for (const int64_t stride : {2, 3, 7, 12}) {
    const DataSet data = read(windows(5, 2, stride));
    EXPECT_EQ(data.format, "text");
    size_t window = 0;
    for (int64_t first = 0; first <= count - 7; first += stride, ++window) {
      ASSERT_LT(window, data.samples.size());
      const Sample& sample = data.samples[window];
      EXPECT_EQ(sample.id, "tokens-" + std::to_string(first));
      EXPECT_EQ(sample.index, static_cast<int64_t>(window));
      const std::vector<int64_t> prompt(all.begin() + first, all.begin() + first + 5);
      EXPECT_EQ(sample.prompt_ids, prompt);
      EXPECT_EQ(sample.answer_ids,
                std::vector<int64_t>(all.begin() + first + 5, all.begin() + first + 7));
      EXPECT_EQ(sample.question, tokenizer_->decode(prompt, /*skip_special=*/false));
      EXPECT_TRUE(sample.images.empty());
      retokenized_differently += tokenizer_->encode(sample.question) == prompt ? 0 : 1;
    }
    EXPECT_EQ(window, data.samples.size());
  }
  // Else ids made from the windows' texts would have passed too.
  EXPECT_GT(retokenized_differently, 0);
}

TEST_F(ReadTokens, FollowEachOtherUnlessAStrideIsGiven) {
  const auto count = static_cast<int64_t>(tokenizer_->encode(text_).size());
  EXPECT_EQ(ids(read(windows(4, count - 4))), (std::vector<std::string>{"tokens-0"}));
  DataOptions options = windows(6, 4);
  options.offset = 1;
  options.limit = 2;
  EXPECT_EQ(ids(read(options)), (std::vector<std::string>{"tokens-10", "tokens-20"}));
}

TEST_F(ReadTokens, ContentIsThatOfTheWindowAlone) {
  const DataSet before = read(windows(6, 4));
  text_ += "More of it, which makes windows of its own.";
  const DataSet longer = read(windows(6, 4));
  EXPECT_EQ(longer.samples[0].content, before.samples[0].content);
  EXPECT_NE(longer.samples[1].content, before.samples[0].content);
  text_.replace(4, 1, "K");
  EXPECT_NE(read(windows(6, 4)).samples[0].content, before.samples[0].content);
  // The same ten ids, but another one is the first to be scored.
  EXPECT_NE(read(windows(5, 5)).samples[0].content, read(windows(6, 4)).samples[0].content);
}

TEST_F(ReadTokens, ErrorsSayWhatIsNeeded) {
  const size_t count = tokenizer_->encode(text_).size();
  EXPECT_ERROR(read(windows(4, 996)),
               files_.message("t.txt",
                              "a window needs 1000 tokens (4 of prompt, 996 of answer), the "
                              "text has " +
                                  std::to_string(count)));
  const std::string least = "prompt_tokens, answer_tokens and stride need to be at least 1";
  EXPECT_ERROR(read(windows(0, 4)), files_.message("t.txt", least));
  EXPECT_ERROR(read(windows(4, 0)), files_.message("t.txt", least));
  EXPECT_ERROR(read(windows(4, 4, 0)), files_.message("t.txt", least));
  EXPECT_ERROR(
      read(windows(8, 4, 3)),
      files_.message("t.txt",
                     "stride is 3, below answer_tokens, which is 4: tokens would be scored "
                     "in several windows"));
  DataOptions json = files_.with("q.json", R"([{"question": "q", "answer": "a"}])");
  json.tokens = TokenWindows{1, 1, std::nullopt};
  EXPECT_ERROR(read(json), files_.message("q.json",
                                          "prompt_tokens and answer_tokens cut plain "
                                          "text: a .txt file, or 'format: text'"));
}

/// Ids that stand before the text in every window.
std::vector<int64_t> before_text(const DataSet& data, const std::vector<int64_t>& text_ids) {
  const Sample& first = data.samples.front();
  std::vector<int64_t> ids = first.prompt_ids;
  ids.insert(ids.end(), first.answer_ids.begin(), first.answer_ids.end());
  size_t before = 0;
  while (before < ids.size() &&
         !std::equal(ids.begin() + static_cast<ptrdiff_t>(before), ids.end(), text_ids.begin()))
    ++before;
  ids.resize(before);
  for (const Sample& sample : data.samples)
    EXPECT_TRUE(std::equal(ids.begin(), ids.end(), sample.prompt_ids.begin())) << sample.id;
  return ids;
}

class WindowsBegin : public testing::Test {
 protected:
  void use(const std::string& folder) {
    tokenizer_ = load_tokenizer(std::filesystem::path(source_path()) / folder);
    text_ids_ = tokenizer_->encode(text_);
  }
  DataSet read(BosRule bos, std::optional<int64_t> stride = std::nullopt,
               int64_t prompt = 6) const {
    DataOptions options = files_.with("t.txt", text_);
    options.tokens = TokenWindows{prompt, 4, stride, bos};
    return read_data(options, /*check_image=*/{}, tokenizer_.get());
  }

  using Ids = std::vector<int64_t>;
  Files files_;
  std::string text_ = "It was a bright cold day in April, and the clocks were striking thirteen.\n";
  std::unique_ptr<Tokenizer> tokenizer_;
  Ids text_ids_;
};

TEST_F(WindowsBegin, WithTheBosThatTheTokenizerPutsInFront) {
  use("tests/parity/data/families/mistral");
  const Ids bos{1};
  EXPECT_EQ(before_text(read(BosRule::kAuto), text_ids_), bos);
  EXPECT_EQ(before_text(read(BosRule::kAlways), text_ids_), bos);
  EXPECT_EQ(before_text(read(BosRule::kNever), text_ids_), Ids{});
}

TEST_F(WindowsBegin, WithNothingWhereTheTokenizerPutsNothing) {
  use("tests/parity/data/families/qwen3");
  EXPECT_EQ(before_text(read(BosRule::kAuto), text_ids_), Ids{});
  EXPECT_ERROR(read(BosRule::kAlways),
               files_.message("t.txt",
                              "bos is 'always', but the tokenizer has no BOS: it puts nothing "
                              "before a text, and neither tokenizer_config.json nor "
                              "special_tokens_map.json names a 'bos_token' of its vocabulary"));
}

TEST_F(WindowsBegin, WithTheBosThatIsNamedWhenItIsWanted) {
  // SmolVLM's tokenizer_config.json names one that its tokenizer.json does not use.
  use("tests/parity/data/families/smolvlm");
  EXPECT_EQ(before_text(read(BosRule::kAuto), text_ids_), Ids{});
  EXPECT_EQ(before_text(read(BosRule::kAlways), text_ids_),
            Ids{tokenizer_->token_to_id("<|im_start|>").value()});
  // The vocabulary and merges of GPT-2 name none, and it has one by its class.
  use("tests/unit/text/data/gpt2-files");
  EXPECT_EQ(before_text(read(BosRule::kAlways), text_ids_),
            Ids{tokenizer_->token_to_id("<|endoftext|>").value()});
}

TEST_F(WindowsBegin, WithTheBosOfSentencePiece) {
  use("tests/unit/text/data/llama-model");
  EXPECT_EQ(before_text(read(BosRule::kAuto), text_ids_), Ids{1});
  EXPECT_EQ(before_text(read(BosRule::kNever), text_ids_), Ids{});
}

TEST_F(WindowsBegin, AndTheBosCountsAmongThePromptsTokens) {
  use("tests/parity/data/families/mistral");
  const DataSet with = read(BosRule::kAuto);
  // Every id of the text stands in one window, as without it.
  Ids all;
  for (const Sample& sample : with.samples) {
    EXPECT_EQ(sample.prompt_ids.size(), 6U);
    EXPECT_EQ(sample.answer_ids.size(), 4U);
    all.insert(all.end(), sample.prompt_ids.begin() + 1, sample.prompt_ids.end());
    all.insert(all.end(), sample.answer_ids.begin(), sample.answer_ids.end());
  }
  ASSERT_GE(with.samples.size(), 3U);
  EXPECT_EQ(all, Ids(text_ids_.begin(), text_ids_.begin() + static_cast<ptrdiff_t>(all.size())));
  EXPECT_EQ(with.samples[1].id, "tokens-9");
  EXPECT_EQ(read(BosRule::kNever).samples[1].id, "tokens-10");
  EXPECT_NE(with.samples[0].content, read(BosRule::kNever).samples[0].content);
  EXPECT_ERROR(
      read(BosRule::kAuto, std::nullopt, /*prompt=*/0),
      files_.message("t.txt", "prompt_tokens, answer_tokens and stride need to be at least 1"));
  // The BOS alone may be the prompt.
  EXPECT_EQ(read(BosRule::kAuto, std::nullopt, /*prompt=*/1).samples[0].prompt_ids, Ids{1});
}

TEST_F(WindowsBegin, AndNoIdIsScoredTwice) {
  use("tests/parity/data/families/mistral");
  for (const int64_t stride : {4, 5, 9, 14}) {
    std::set<int64_t> scored;
    for (const Sample& sample : read(BosRule::kAuto, stride).samples) {
      const int64_t first = std::stoll(sample.id.substr(sample.id.find('-') + 1)) + 5;
      for (int64_t i = 0; i < 4; ++i) {
        EXPECT_TRUE(scored.insert(first + i).second) << sample.id;
        EXPECT_EQ(sample.answer_ids[static_cast<size_t>(i)],
                  text_ids_[static_cast<size_t>(first + i)]);
      }
    }
  }
}

}  // namespace
}  // namespace elastikv
