#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "cache/kv_cache.h"
#include "models/language_model.h"
#include "text/prompt_tokens.h"
#include "text/tokenizer.h"

// What computes no numbers any more is found out from logits alone, which costs nothing beside a
// step. Only then is it looked for where that began.

namespace elastikv {

/// A prompt as a decoder takes it.
struct EmbeddedPrompt {
  at::Tensor embeddings;                 ///< [tokens, hidden], the images' features in their places
  at::Tensor positions;                  ///< see PrefillInput
  std::vector<int64_t> ids;              ///< [tokens]
  std::vector<TokenSpan> images;         ///< in the order of the prompt
  std::vector<int64_t> placeholders;     ///< the tokens that images' features stand for, ascending
  const Tokenizer* tokenizer = nullptr;  ///< writes the token that is at fault; null: its id alone
};

/// What is not finite first of a prompt whose logits are not, in the order of computation: a
/// token's embedding, an image's features, or a layer's keys, values, attention or output, or the
/// logits: "layer 3: the keys of the prompt are not finite; a weight of the checkpoint may be
/// damaged". Runs the prompt again.
std::string first_non_finite(const LanguageModel& model, const EmbeddedPrompt& prompt);

/// The same of a sequence whose logits are not finite after the tokens `fed` were run: from their
/// embeddings and the keys and values in its cache. Runs nothing.
std::string first_non_finite(const LanguageModel& model, const KVCache& cache,
                             const std::vector<int64_t>& fed);

}  // namespace elastikv
