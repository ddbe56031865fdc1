#include "runtime/prompt_encoder.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include "base/device_stopwatch.h"
#include "base/error.h"
#include "base/json_fields.h"
#include "kernels/finite.h"
#include "models/end_tokens.h"
#include "runtime/non_finite.h"
#include "strategies/finite.h"

namespace elastikv {
namespace {

/// The tokenizer of a folder. Error where it is not the model's.
std::unique_ptr<Tokenizer> tokenizer_of(const std::filesystem::path& folder,
                                        const ModelSummary& summary) {
  std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(folder);
  if (tokenizer->vocab_size() > summary.vocab_size) {
    fail("{}: the tokenizer has {} tokens, the model's vocabulary {}; they do not belong together",
         folder.string(), tokenizer->vocab_size(), summary.vocab_size);
  }
  return tokenizer;
}

/// A prompt's form may know of an end that the checkpoint's files do not name (Qwen-VL-Chat).
void add_answer_end(const PromptWriter& writer, const Tokenizer& tokenizer,
                    std::vector<int64_t>& end_tokens) {
  const std::string token = writer.answer_end();
  if (token.empty()) return;
  const std::optional<int64_t> end = tokenizer.token_to_id(token);
  if (end && tokenizer.is_special(*end) &&
      std::find(end_tokens.begin(), end_tokens.end(), *end) == end_tokens.end())
    end_tokens.push_back(*end);
}

}  // namespace

PromptModel prompt_model(const std::filesystem::path& folder, const ModelSummary& summary,
                         const Tokenizer* tokenizer) {
  return {folder, summary.takes_images(), summary.image_token, tokenizer};
}

PromptReader::PromptReader(const std::filesystem::path& folder, const PromptSettings& settings,
                           const ImageChoice& images)
    : folder_(folder),
      summary_(summarize_model(folder)),
      tokenizer_(tokenizer_of(folder, summary_)),
      writer_(make_prompt_writer(prompt_model(folder, summary_, tokenizer_.get()), settings)),
      end_tokens_(read_end_tokens(folder, JsonFields::read(folder / "config.json"))) {
  add_answer_end(*writer_, *tokenizer_, end_tokens_);
  image_prompt_ = read_image_prompt(folder);
  if (image_prompt_ != nullptr) image_processor_ = read_model_image_processor(folder, images);
}

WrittenPrompt PromptReader::write(const std::string& question, const std::vector<ImageSize>& images,
                                  const std::string& answer_prefix) const {
  return write(std::vector<Turn>{user_turn(question, std::ssize(images))}, images, answer_prefix);
}

WrittenPrompt PromptReader::write(const std::vector<Turn>& turns,
                                  const std::vector<ImageSize>& images,
                                  const std::string& answer_prefix) const {
  if (!images.empty() && image_prompt_ == nullptr)
    fail("{}: this model takes no images", folder_.string());
  Prompt prompt = writer_->write(turns);
  if (!answer_prefix.empty()) {
    prompt.text += answer_prefix;
    // A text that is cut in two would be other tokens.
    if (prompt.chunks.empty() || prompt.chunks.back().kind == PromptChunk::Kind::kImage)
      prompt.chunks.emplace_back();
    prompt.chunks.back().text += answer_prefix;
  }
  WrittenPrompt written;
  written.text = prompt.text;
  std::vector<ImageText> texts;
  for (const ImageSize image : images) {
    written.geometries.push_back(image_processor_->geometry(image));
    try {
      texts.push_back(image_prompt_->text(written.geometries.back()));
    } catch (const Error& error) {
      fail("{}: {}", folder_.string(), error.what());
    }
  }
  written.tokens = tokenize_prompt(*tokenizer_, prompt.chunks, summary_.image_token, texts,
                                   writer_->adds_special_tokens());
  return written;
}

TokenizedPrompt PromptReader::tokenize(const std::string& question,
                                       const std::vector<ImageFile>& images,
                                       const std::string& answer_prefix) const {
  std::vector<ImageSize> sizes;
  sizes.reserve(images.size());
  for (const ImageFile& image : images) sizes.push_back(check_image(image));
  return tokenize(question, sizes, answer_prefix);
}

ImageSize PromptReader::grid(const std::vector<ImageFile>& images) const {
  if (images.size() != 1 || image_prompt_ == nullptr) return {};
  return image_prompt_->grid(image_processor_->geometry(check_image(images.front())));
}

TokenizedPrompt PromptReader::from_ids(std::vector<int64_t> ids) {
  TokenizedPrompt prompt;
  prompt.ids = std::move(ids);
  return prompt;
}

std::vector<int64_t> PromptReader::tokenize_answer(const std::string& answer,
                                                   const std::string& what) const {
  std::vector<int64_t> ids = tokenizer_->encode(answer);
  require_text(ids, what);
  return ids;
}

void PromptReader::require_text(const std::vector<int64_t>& ids, const std::string& what) const {
  if (image_prompt_ == nullptr ||
      std::find(ids.begin(), ids.end(), summary_.image_token) == ids.end())
    return;
  fail("{} holds '{}', which this model's tokenizer reads as token {}, the place of an image", what,
       tokenizer_->id_to_token(summary_.image_token).value_or(""), summary_.image_token);
}

int64_t PromptReader::answer_end() const {
  const std::string token = writer_->answer_end();
  if (!token.empty()) {
    const std::optional<int64_t> end = tokenizer_->token_to_id(token);
    if (end) return *end;
    fail("{}: the tokenizer has no token '{}', with which prompt format '{}' ends an answer",
         folder_.string(), token, writer_->name());
  }
  if (!end_tokens_.empty()) return end_tokens_.front();
  fail(
      "{}: no token ends an answer: prompt format '{}' names none, and neither "
      "generation_config.json "
      "nor config.json has an eos_token_id",
      folder_.string(), writer_->name());
}

void PromptReader::require_room(const TokenizedPrompt& prompt, int64_t new_tokens,
                                const std::string& what) const {
  elastikv::require_room(prompt, new_tokens, summary_.max_positions, what);
}

void require_room(const TokenizedPrompt& prompt, int64_t new_tokens, int64_t context,
                  const std::string& what) {
  const auto tokens = static_cast<int64_t>(prompt.ids.size());
  if (tokens == 0) fail("{} is empty: at least one token is needed", what);
  if (tokens + new_tokens > context) {
    fail("{} has {} tokens and up to {} more follow, but the model's context is {}", what, tokens,
         new_tokens, context);
  }
}

IdsReader::IdsReader(const std::filesystem::path& folder)
    : summary_(summarize_model(folder)),
      end_tokens_(read_end_tokens(folder, JsonFields::read(folder / "config.json"))) {
  try {
    tokenizer_ = tokenizer_of(folder, summary_);
  } catch (const Error& error) {
    no_tokenizer_ = error.what();
    return;
  }
  try {
    add_answer_end(*make_prompt_writer(prompt_model(folder, summary_, tokenizer_.get()), {}),
                   *tokenizer_, end_tokens_);
  } catch (const Error&) {
    // No format is known, and none is asked for: the ids are the whole prompt.
    return;
  }
}

namespace {

/// As fp32 on the CPU: a view of the cache itself where it holds that. Nobody writes to a prompt's
/// cache, since its forks copy what they change.
at::Tensor readable(const at::Tensor& entries) { return entries.cpu().to(at::kFloat); }

/// Runs the prefill over a prompt's embeddings and takes its statistics. `image`: the span of all
/// images together.
void encode(const LanguageModel& language, const EmbeddedPrompt& prompt, const TokenSpan& image,
            const StatisticsRequest& request, uint64_t seed, const LayerWatch& on_layer,
            const SharedBeginning& shared, EncodedPrompt& encoded) {
  DeviceStopwatch watch(encoded.cache.shape().device);
  PromptStatistics& statistics = encoded.statistics;
  const int64_t tokens = prompt.embeddings.size(0);
  statistics.prompt_tokens = tokens;
  statistics.query_heads = language.query_heads();
  statistics.kv_heads = language.cache_shape().kv_heads;
  statistics.image_begin = image.begin;
  statistics.image_end = image.end;
  statistics.seed = seed;
  PrefillInput input;
  input.embeddings = prompt.embeddings;
  input.positions = prompt.positions;
  input.request = request.prefill;
  input.on_layer = on_layer;
  input.beginning = shared.beginning;
  input.keep = shared.keep;
  if (request.post_image_rows) {
    input.request.last_rows = std::max(input.request.last_rows, statistics.tokens_after_image());
  }
  PrefillOutput output = language.prefill(input, encoded.cache);
  statistics.rotary_frequencies = language.rotary_frequencies(encoded.cache);
  statistics.position_delta = encoded.cache.rotary_position(tokens) - tokens;
  encoded.logits = std::move(output.logits);
  // Whatever is not finite before them leaves no logit finite.
  if (!all_finite(encoded.logits)) throw Error(first_non_finite(language, prompt));
  encoded.seconds.prefill = watch.lap();
  encoded.seconds.prefill -= output.statistics_seconds;
  statistics.layers.reserve(output.statistics.size());
  for (PrefillStatistics& of_layer : output.statistics) {
    const auto layer = static_cast<int64_t>(statistics.layers.size());
    LayerStatistics& all = statistics.layers.emplace_back();
    static_cast<PrefillStatistics&>(all) = std::move(of_layer);
    if (request.keys) all.keys = readable(encoded.cache.keys(layer));
    if (request.values) all.values = readable(encoded.cache.values(layer));
    encoded.non_finite.push_back(non_finite_of(all));
  }
  encoded.seconds.statistics = watch.lap();
  encoded.seconds.statistics += output.statistics_seconds;
}

/// Error when a prompt cannot give what is asked for.
void require_possible(const StatisticsRequest& request, size_t tokens, const TokenSpan& image) {
  const std::string missing =
      missing_for(request, static_cast<int64_t>(tokens), image.begin, image.end);
  if (!missing.empty()) fail("the prompt {}", missing);
}

}  // namespace

EncodedPrompt EncodedPrompt::fork(uint64_t seed) const {
  EncodedPrompt copy{cache.fork(), logits, statistics, {}, non_finite};
  copy.statistics.seed = seed;
  return copy;
}

EncodedImages encode_images(const Model& model, const PromptReader& reader,
                            const std::vector<ImageFile>& images) {
  EncodedImages encoded;
  DeviceStopwatch watch(model.language().cache_shape().device);
  std::vector<at::Tensor> features;
  for (const ImageFile& image : images) {
    const ProcessedImage processed = reader.image_processor()->process(read_image(image));
    features.push_back(model.encode_image(processed));
    encoded.geometries.push_back(processed.geometry);
  }
  if (!features.empty()) encoded.features = at::cat(features);
  encoded.seconds = watch.lap();
  return encoded;
}

EncodedPrompt encode_prompt(const Model& model, const PromptReader& reader,
                            const TokenizedPrompt& prompt, const std::vector<ImageFile>& images,
                            const StatisticsRequest& request, uint64_t seed,
                            const LayerWatch& on_layer) {
  ELASTIKV_ASSERT(prompt.images.size() == images.size(), "{} images for {} places", images.size(),
                  prompt.images.size());
  const TokenSpan image = prompt.image_span();
  require_possible(request, prompt.ids.size(), image);
  const EncodedImages encoded_images = encode_images(model, reader, images);
  EncodedPrompt encoded =
      prefill_prompt(model, reader, prompt, encoded_images, request, seed, on_layer);
  encoded.seconds.image += encoded_images.seconds;
  return encoded;
}

EncodedPrompt prefill_prompt(const Model& model, const PromptReader& reader,
                             const TokenizedPrompt& prompt, const EncodedImages& images,
                             const StatisticsRequest& request, uint64_t seed,
                             const LayerWatch& on_layer, const SharedBeginning& shared) {
  const size_t count = images.geometries.size();
  ELASTIKV_ASSERT(prompt.images.size() == count, "{} images for {} places", count,
                  prompt.images.size());
  const TokenSpan image = prompt.image_span();
  require_possible(request, prompt.ids.size(), image);
  const LanguageModel& language = model.language();
  EncodedPrompt encoded{KVCache(language.cache_shape()), {}, {}, {}, {}};
  DeviceStopwatch watch(encoded.cache.shape().device);
  // A placeholder need not be in the vocabulary; nothing reads what stands for it here.
  std::vector<int64_t> ids = prompt.ids;
  for (const int64_t index : prompt.placeholders) ids[static_cast<size_t>(index)] = 0;
  EmbeddedPrompt embedded{language.embed(at::tensor(ids, at::kLong)),
                          {},
                          prompt.ids,
                          prompt.images,
                          prompt.placeholders,
                          &reader.tokenizer()};
  if (count > 0) {
    const at::Tensor features = images.features.to(embedded.embeddings.scalar_type());
    ELASTIKV_ASSERT(features.size(0) == std::ssize(prompt.placeholders),
                    "{} image features for {} tokens", features.size(0),
                    prompt.placeholders.size());
    std::vector<PlacedImage> placed;
    for (size_t i = 0; i < count; ++i) placed.push_back({prompt.images[i], images.geometries[i]});
    embedded.embeddings = embedded.embeddings.index_copy(
        0, at::tensor(prompt.placeholders, at::kLong).to(features.device()), features);
    embedded.positions = model.rotary_positions(embedded.embeddings.size(0), placed);
  }
  encoded.seconds.image = watch.lap();
  encode(language, embedded, image, request, seed, on_layer, shared, encoded);
  return encoded;
}

EncodedPrompt encode_ids(const Model& model, const std::vector<int64_t>& ids,
                         const StatisticsRequest& request, uint64_t seed) {
  require_possible(request, ids.size(), {});
  const LanguageModel& language = model.language();
  EncodedPrompt encoded{KVCache(language.cache_shape()), {}, {}, {}, {}};
  encode(language, {language.embed(at::tensor(ids, at::kLong)), {}, ids, {}, {}, nullptr}, {},
         request, seed, /*on_layer=*/{}, /*shared=*/{}, encoded);
  return encoded;
}

}  // namespace elastikv
