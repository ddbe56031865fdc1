#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "text/prompt_format.h"
#include "text/tokenizer.h"

namespace elastikv {

/// The text of the token that stands for an image, if the tokenizer makes that one token of it.
std::optional<std::string> placeholder_text(const Tokenizer& tokenizer, int64_t id);

/// Tokens [begin, end) of a prompt.
struct TokenSpan {
  int64_t begin = 0;
  int64_t end = 0;
  bool operator==(const TokenSpan&) const = default;
};

/// What an image becomes in a prompt: runs of its family's placeholder token, one for each
/// feature, with text before, between and after them (Idefics3 names each tile).
struct ImageText {
  struct Run {
    std::string before;
    int64_t placeholders = 0;
  };
  std::vector<Run> runs{};
  std::string after{};

  /// Placeholders and nothing else.
  static ImageText one_run(int64_t placeholders);
  int64_t placeholders() const;
};

struct TokenizedPrompt {
  std::vector<int64_t> ids;
  /// One span per image, in order: from its first placeholder to its last.
  std::vector<TokenSpan> images;
  /// Indices of all placeholders, ascending.
  std::vector<int64_t> placeholders;

  /// From the first image's first placeholder to the last one's last; empty without images.
  TokenSpan image_span() const;
};

/// The ids of a prompt. Where the tokenizer knows the placeholder, the whole text is encoded at
/// once with one placeholder for each run, which is then repeated; special tokens never merge with
/// text, so this is what encoding all of them gives. Where it does not (the original LLaVA), the
/// texts between images are encoded each by itself. With `add_special` the tokenizer's special
/// ids (a BOS) are put around the whole once, unless the text itself begins with them. Error when
/// the number of
/// `<image>` in `chunks` and of images differ, and when the text itself holds the placeholder.
TokenizedPrompt tokenize_prompt(const Tokenizer& tokenizer, const std::vector<PromptChunk>& chunks,
                                int64_t image_token_id, const std::vector<ImageText>& images,
                                bool add_special = true);

}  // namespace elastikv
