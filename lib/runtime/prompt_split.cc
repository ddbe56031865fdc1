#include "runtime/prompt_split.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "text/prompt_format.h"

namespace elastikv {
namespace {

constexpr std::string_view kSpace = " \t\r\n\v\f";

bool is_space(std::string_view text) {
  return text.find_first_not_of(kSpace) == std::string_view::npos;
}

/// Where the question itself begins in the text. Error where there is none, or an image in it.
size_t question_begin(const AskedText& asked, size_t images, const std::string& what) {
  const std::string_view text = asked.text;
  if (images == 0 && asked.context_length == 0) {
    fail(
        "{} has neither an image nor a context before its question: nothing could be compressed "
        "before it",
        what);
  }
  size_t begin = std::min(asked.context_length, text.size());
  const size_t first = text.find(kImagePlaceholder, begin);
  if (first != std::string_view::npos) {
    if (!is_space(text.substr(begin, first - begin))) {
      fail(
          "{} puts text of its question before an image: it cannot be compressed before the "
          "question",
          what);
    }
    begin = text.rfind(kImagePlaceholder) + kImagePlaceholder.size();
  }
  const size_t words = text.find_first_not_of(kSpace, begin);
  if (words == std::string_view::npos)
    fail("{} has no question behind its {}", what, images > 0 ? "image" : "context");
  return words;
}

/// The number of ids that all of the prompts begin with.
int64_t common_ids(const std::vector<std::vector<int64_t>>& prompts) {
  size_t common = prompts.front().size();
  for (const std::vector<int64_t>& ids : prompts) {
    const auto end =
        std::mismatch(prompts.front().begin(), prompts.front().end(), ids.begin(), ids.end()).first;
    common = std::min(common, static_cast<size_t>(end - prompts.front().begin()));
  }
  return static_cast<int64_t>(common);
}

}  // namespace

int64_t tokens_before(CompressAt at, const PromptReader& reader, const AskedText& asked,
                      const std::vector<ImageSize>& images, const TokenizedPrompt& prompt,
                      const std::string& what) {
  if (at != CompressAt::kBeforeQuestion) return tokens_before(at, prompt, what);
  const size_t begin = question_begin(asked, images.size(), what);
  // A token may reach from what stands before a question into it, so that one question more or
  // less would change what is compressed: what counts are the tokens that other questions share.
  std::vector<std::vector<int64_t>> prompts{prompt.ids};
  for (const char* other : {"A", "#"})
    prompts.push_back(reader.tokenize(asked.text.substr(0, begin) + other, images).ids);
  const int64_t tokens = common_ids(prompts);
  if (prompt.image_span().end > tokens) {
    fail(
        "{} has its image behind its question, as the prompt format '{}' puts it: it cannot be "
        "compressed before the question (image_place: before puts images first)",
        what, reader.writer().name());
  }
  if (tokens == 0) fail("{} has nothing before its question that could be compressed", what);
  return tokens;
}

int64_t tokens_before(CompressAt at, const TokenizedPrompt& prompt, const std::string& what) {
  const auto all = static_cast<int64_t>(prompt.ids.size());
  switch (at) {
    case CompressAt::kPromptEnd:
      return all;
    case CompressAt::kBeforeLastToken:
      if (all < 2) fail("{} has one token: nothing is left to be compressed before the last", what);
      if (prompt.image_span().end == all)
        fail("{} ends with its image: its last token is no text that could come later", what);
      return all - 1;
    case CompressAt::kBeforeQuestion:
      fail("{} is given as token ids: nobody knows where its question begins", what);
  }
  throw InternalError("a moment of compression without a rule");
}

TokenizedPrompt first_tokens(const TokenizedPrompt& prompt, int64_t tokens) {
  ELASTIKV_ASSERT(tokens >= prompt.image_span().end && tokens <= std::ssize(prompt.ids),
                  "{} of {} tokens, with images up to {}", tokens, prompt.ids.size(),
                  prompt.image_span().end);
  TokenizedPrompt first = prompt;
  first.ids.resize(static_cast<size_t>(tokens));
  return first;
}

std::vector<int64_t> ids_behind(const TokenizedPrompt& prompt, int64_t tokens) {
  return {prompt.ids.begin() + tokens, prompt.ids.end()};
}

}  // namespace elastikv
