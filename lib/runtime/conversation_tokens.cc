#include "runtime/conversation_tokens.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "text/prompt_format.h"

namespace elastikv {
namespace {

using Ids = std::vector<int64_t>;

/// The conversation up to the `count`-th question. `answer`: in the place of the one before that.
TokenizedPrompt prompt_of(const PromptReader& reader, const std::vector<AskedTurn>& turns,
                          const std::vector<ImageSize>& images, size_t count,
                          const std::string& answer) {
  std::vector<Turn> all;
  size_t shown = 0;
  for (size_t i = 0; i < count; ++i) {
    all.push_back(user_turn(turns[i].question, static_cast<int64_t>(turns[i].images)));
    shown += turns[i].images;
    if (i + 1 < count)
      all.push_back({"assistant", i + 2 == count ? answer : turns[i].answer, /*images=*/0});
  }
  ELASTIKV_ASSERT(shown <= images.size(), "{} of {} images are shown", shown, images.size());
  return reader.write(all, {images.begin(), images.begin() + static_cast<std::ptrdiff_t>(shown)})
      .tokens;
}

/// How many ids both begin with.
size_t common_begin(const Ids& a, const Ids& b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
                             a.begin());
}

/// How many ids both end with.
size_t common_end(const Ids& a, const Ids& b) {
  return static_cast<size_t>(std::mismatch(a.rbegin(), a.rend(), b.rbegin(), b.rend()).first -
                             a.rbegin());
}

/// The ids of a prompt from one place on, with the images there.
TokenizedPrompt behind(const TokenizedPrompt& prompt, size_t begin) {
  const auto from = static_cast<int64_t>(begin);
  TokenizedPrompt part;
  part.ids.assign(prompt.ids.begin() + from, prompt.ids.end());
  for (const TokenSpan& image : prompt.images) {
    if (image.begin >= from) part.images.push_back({image.begin - from, image.end - from});
  }
  for (const int64_t place : prompt.placeholders) {
    if (place >= from) part.placeholders.push_back(place - from);
  }
  return part;
}

}  // namespace

int64_t ConversationTokens::asked_tokens() const {
  int64_t tokens = std::ssize(first.ids);
  for (const LaterTurn& turn : later) tokens += std::ssize(turn.question.ids);
  return tokens;
}

ConversationTokens tokenize_conversation(const PromptReader& reader,
                                         const std::vector<AskedTurn>& turns,
                                         const std::vector<ImageSize>& images,
                                         const std::string& what) {
  ELASTIKV_ASSERT(!turns.empty(), "a conversation without a question");
  ConversationTokens tokens;
  tokens.first = prompt_of(reader, turns, images, 1, "");
  tokens.whole = tokens.first;
  for (size_t i = 1; i < turns.size(); ++i) {
    const std::string& answer = turns[i - 1].answer;
    if (answer.find(kImagePlaceholder) != std::string::npos)
      fail("{} goes on from an answer that holds {}, the place of an image", what,
           kImagePlaceholder);
    TokenizedPrompt whole = prompt_of(reader, turns, images, i + 1, answer);
    const size_t before = tokens.whole.ids.size();
    if (common_begin(tokens.whole.ids, whole.ids) < before) {
      fail(
          "{} cannot go on from the cache of the turns before it: prompt format '{}' writes them "
          "otherwise once question {} is asked",
          what, reader.writer().name(), i + 1);
    }
    // What follows an answer is what follows any, but for tokens that reach into it.
    size_t end = whole.ids.size() - before;
    for (const char* other : {"A", "#"}) {
      end =
          std::min(end, common_end(whole.ids, prompt_of(reader, turns, images, i + 1, other).ids));
    }
    LaterTurn& turn = tokens.later.emplace_back();
    const size_t question = whole.ids.size() - end;
    turn.answer.assign(whole.ids.begin() + static_cast<std::ptrdiff_t>(before),
                       whole.ids.begin() + static_cast<std::ptrdiff_t>(question));
    turn.question = behind(whole, question);
    tokens.whole = std::move(whole);
  }
  return tokens;
}

}  // namespace elastikv
