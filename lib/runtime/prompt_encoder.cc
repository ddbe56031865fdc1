#include "runtime/prompt_encoder.h"

#include <algorithm>
#include <utility>

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include "base/error.h"
#include "base/json_fields.h"
#include "base/stopwatch.h"

namespace elastikv {

PromptReader::PromptReader(const std::filesystem::path& folder, const std::string& prompt_format,
                           std::optional<ImageAspectRatio> ratio)
    : folder_(folder),
      summary_(summarize_model(folder)),
      format_(choose_prompt_format(folder, prompt_format == "auto" ? "" : prompt_format)),
      tokenizer_(load_tokenizer(folder)),
      end_tokens_(read_end_tokens(folder, JsonFields::read(folder / "config.json"))) {
  if (tokenizer_->vocab_size() > summary_.vocab_size) {
    fail("{}: the tokenizer has {} tokens, the model's vocabulary {}; they do not belong together",
         folder.string(), tokenizer_->vocab_size(), summary_.vocab_size);
  }
  image_token_ = summary_.image_token;
  if (image_token_ >= 0) image_processor_ = read_image_processor(folder, ratio);
}

TokenizedPrompt PromptReader::tokenize(const std::string& question, bool with_picture) const {
  if (with_picture && image_token_ < 0) fail("{}: this model takes no pictures", folder_.string());
  Turn turn;
  turn.role = "user";
  turn.text = question;
  const bool placed = question.find(kImagePlaceholder) != std::string::npos;
  turn.images = with_picture && !placed ? 1 : 0;
  const Prompt prompt = format_.render({turn});
  return tokenize_prompt(*tokenizer_, prompt.chunks, image_token_,
                         std::vector<int64_t>(with_picture ? 1 : 0, summary_.image_tokens));
}

TokenizedPrompt PromptReader::from_ids(std::vector<int64_t> ids) {
  TokenizedPrompt prompt;
  prompt.ids = std::move(ids);
  return prompt;
}

std::vector<int64_t> PromptReader::tokenize_answer(const std::string& answer) const {
  return tokenizer_->encode(answer);
}

void PromptReader::require_room(const TokenizedPrompt& prompt, int64_t new_tokens,
                                const std::string& what) const {
  const auto tokens = static_cast<int64_t>(prompt.ids.size());
  if (tokens == 0) fail("{} is empty: at least one token is needed", what);
  if (tokens + new_tokens > summary_.max_positions) {
    fail("{} has {} tokens and up to {} more follow, but the model's context is {}", what, tokens,
         new_tokens, summary_.max_positions);
  }
}

namespace {

/// As fp32 on the CPU: a view of the cache itself where it holds that. Nobody writes to a prompt's
/// cache, since its forks copy what they change.
at::Tensor readable(const at::Tensor& entries) { return entries.cpu().to(at::kFloat); }

/// Runs the prefill over a prompt's embeddings and takes its statistics; `image` is where the
/// picture stands.
void encode(const LanguageModel& language, const at::Tensor& embeddings, const TokenSpan& image,
            const StatisticsRequest& request, uint64_t seed, EncodedPrompt& encoded) {
  Stopwatch watch;
  PromptStatistics& statistics = encoded.statistics;
  statistics.prompt_tokens = embeddings.size(0);
  statistics.query_heads = language.query_heads();
  statistics.kv_heads = language.cache_shape().kv_heads;
  statistics.image_begin = image.begin;
  statistics.image_end = image.end;
  statistics.seed = seed;
  statistics.rotary_frequencies = language.rotary_frequencies();
  PrefillInput input;
  input.embeddings = embeddings;
  input.request = request.prefill;
  if (request.post_image_rows) {
    input.request.last_rows = std::max(input.request.last_rows, statistics.tokens_after_image());
  }
  PrefillOutput output = language.prefill(input, encoded.cache);
  encoded.logits = std::move(output.logits);
  encoded.seconds.prefill = watch.lap() - output.statistics_seconds;
  statistics.layers.reserve(output.statistics.size());
  for (PrefillStatistics& of_layer : output.statistics) {
    const auto layer = static_cast<int64_t>(statistics.layers.size());
    LayerStatistics& all = statistics.layers.emplace_back();
    static_cast<PrefillStatistics&>(all) = std::move(of_layer);
    if (request.keys) all.keys = readable(encoded.cache.keys(layer));
    if (request.values) all.values = readable(encoded.cache.values(layer));
  }
  encoded.seconds.statistics = output.statistics_seconds + watch.lap();
}

/// Error when a prompt cannot give what is asked for.
void require_possible(const StatisticsRequest& request, size_t tokens, const TokenSpan& image) {
  const std::string missing =
      missing_for(request, static_cast<int64_t>(tokens), image.begin, image.end);
  if (!missing.empty()) fail("the prompt {}", missing);
}

}  // namespace

EncodedPrompt encode_prompt(const Model& model, const PromptReader& reader,
                            const TokenizedPrompt& prompt, const std::filesystem::path& picture,
                            const StatisticsRequest& request, uint64_t seed) {
  if (prompt.images.empty()) return encode_ids(model, prompt.ids, request, seed);
  ELASTIKV_ASSERT(prompt.images.size() == 1 && reader.image_processor() != nullptr,
                  "{} pictures in a prompt", prompt.images.size());
  const TokenSpan span = prompt.images[0];
  require_possible(request, prompt.ids.size(), span);
  const LanguageModel& language = model.language();
  EncodedPrompt encoded{KVCache(language.cache_shape()), {}, {}, {}};
  Stopwatch watch;
  at::Tensor embeddings = language.embed(at::tensor(prompt.ids, at::kLong));
  const at::Tensor features = model.encode_image(
      reader.image_processor()->process(read_picture(picture)).pixels[0], nullptr);
  ELASTIKV_ASSERT(features.size(0) == span.end - span.begin, "{} picture features for {} tokens",
                  features.size(0), span.end - span.begin);
  embeddings = at::cat({embeddings.narrow(0, 0, span.begin), features.to(embeddings.scalar_type()),
                        embeddings.narrow(0, span.end, embeddings.size(0) - span.end)});
  encoded.seconds.image = watch.lap();
  encode(language, embeddings, span, request, seed, encoded);
  return encoded;
}

EncodedPrompt encode_ids(const Model& model, const std::vector<int64_t>& ids,
                         const StatisticsRequest& request, uint64_t seed) {
  require_possible(request, ids.size(), {});
  const LanguageModel& language = model.language();
  EncodedPrompt encoded{KVCache(language.cache_shape()), {}, {}, {}};
  encode(language, language.embed(at::tensor(ids, at::kLong)), {}, request, seed, encoded);
  return encoded;
}

}  // namespace elastikv
