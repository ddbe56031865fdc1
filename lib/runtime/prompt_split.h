#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "image/image.h"
#include "runtime/compress_at.h"
#include "runtime/prompt_encoder.h"
#include "text/prompt_tokens.h"

namespace elastikv {

/// A question with what stands before it in the same text.
struct AskedText {
  std::string text;
  /// Bytes at its beginning that are a context: what the question is about.
  size_t context_length = 0;
};

/// How many of a prompt's tokens are prefilled before its cache is compressed: all, all but the
/// last, or those that prompts have in common which ask something else behind the same images and
/// context. At least 1, and no image lies behind them. `prompt`: of the text and the images of
/// these sizes, by the same reader. Error where no token is left to be compressed, where a prompt
/// has neither image nor context before its question, and where an image stands behind the question
/// or behind text of it; `what` names the prompt.
int64_t tokens_before(CompressAt at, const PromptReader& reader, const AskedText& asked,
                      const std::vector<ImageSize>& images, const TokenizedPrompt& prompt,
                      const std::string& what);
/// The same for a prompt of ids alone, of which nobody knows where a question begins.
int64_t tokens_before(CompressAt at, const TokenizedPrompt& prompt, const std::string& what);

/// The first tokens of a prompt, which hold all of its images.
TokenizedPrompt first_tokens(const TokenizedPrompt& prompt, int64_t tokens);
/// The ids of those behind them.
std::vector<int64_t> ids_behind(const TokenizedPrompt& prompt, int64_t tokens);

}  // namespace elastikv
