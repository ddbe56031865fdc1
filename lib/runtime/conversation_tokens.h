#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "image/image.h"
#include "runtime/prompt_encoder.h"
#include "text/prompt_tokens.h"

namespace elastikv {

/// A question of a conversation, with the answer to it.
struct AskedTurn {
  std::string question;
  size_t images = 0;   ///< that it shows
  std::string answer;  ///< of the last turn: nothing reads it
};

/// A turn behind the first one as tokens that follow each other.
struct LaterTurn {
  /// Those of the answer to the question before, as the whole conversation has them.
  std::vector<int64_t> answer;
  /// Those behind it, whatever the answer: the end of its turn, the question, and what invites the
  /// next answer. Spans of images are counted from its beginning.
  TokenizedPrompt question;
};

/// A conversation up to where its last question is answered.
struct ConversationTokens {
  TokenizedPrompt first;         ///< the prompt of the first question
  std::vector<LaterTurn> later;  ///< all others
  TokenizedPrompt whole;         ///< the prompt of all of it: the same tokens, one after the other

  /// Tokens without the answers.
  int64_t asked_tokens() const;
};

/// `turns`: at least one. `images`: the sizes of all that they show. Error where the prompt's form
/// writes what was said before otherwise once more is asked, so that no cache could go on from it;
/// `what` names the prompt.
ConversationTokens tokenize_conversation(const PromptReader& reader,
                                         const std::vector<AskedTurn>& turns,
                                         const std::vector<ImageSize>& images,
                                         const std::string& what);

}  // namespace elastikv
