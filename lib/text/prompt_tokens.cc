#include "text/prompt_tokens.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "text/bos.h"

namespace elastikv {
namespace {

/// Repeats placeholders and takes down where they are.
class Assembly {
 public:
  explicit Assembly(int64_t image_token_id) : image_token_id_(image_token_id) {}

  void put_text(const std::vector<int64_t>& ids) {
    prompt_.ids.insert(prompt_.ids.end(), ids.begin(), ids.end());
  }
  void begin_image() { prompt_.images.push_back({-1, -1}); }
  void put_run(int64_t count) {
    ELASTIKV_ASSERT(count > 0, "image {} has a run of {} tokens", prompt_.images.size(), count);
    TokenSpan& span = prompt_.images.back();
    const auto begin = static_cast<int64_t>(prompt_.ids.size());
    if (span.begin < 0) span.begin = begin;
    span.end = begin + count;
    for (int64_t i = begin; i < span.end; ++i) prompt_.placeholders.push_back(i);
    prompt_.ids.insert(prompt_.ids.end(), static_cast<size_t>(count), image_token_id_);
  }

  TokenizedPrompt take() { return std::move(prompt_); }

 private:
  int64_t image_token_id_;
  TokenizedPrompt prompt_;
};

TokenizedPrompt encode_whole(const Tokenizer& tokenizer, const std::vector<PromptChunk>& chunks,
                             int64_t image_token_id, const std::string& placeholder,
                             const std::vector<ImageText>& images) {
  std::string text;
  struct Run {
    bool first = false;  // of its image
    int64_t placeholders = 0;
  };
  std::vector<Run> runs;
  size_t image = 0;
  for (const PromptChunk& chunk : chunks) {
    if (chunk.kind == PromptChunk::Kind::kText) {
      text += chunk.text;
      continue;
    }
    const ImageText& written = images[image++];
    for (const ImageText::Run& run : written.runs) {
      text += run.before;
      text += placeholder;
      runs.push_back({&run == &written.runs.front(), run.placeholders});
    }
    text += written.after;
  }
  const std::vector<int64_t> ids = tokenizer.encode(text);
  const auto found = static_cast<size_t>(std::count(ids.begin(), ids.end(), image_token_id));
  if (found != runs.size()) {
    fail("the prompt's text holds '{}', which stands for images: {} found, {} expected",
         placeholder, found, runs.size());
  }
  Assembly assembly(image_token_id);
  size_t next = 0;
  for (const int64_t id : ids) {
    if (id != image_token_id) {
      assembly.put_text({id});
      continue;
    }
    const Run& run = runs[next++];
    if (run.first) assembly.begin_image();
    assembly.put_run(run.placeholders);
  }
  return assembly.take();
}

TokenizedPrompt encode_pieces(const Tokenizer& tokenizer, const std::vector<PromptChunk>& chunks,
                              int64_t image_token_id, const std::vector<ImageText>& images) {
  Assembly assembly(image_token_id);
  size_t image = 0;
  for (const PromptChunk& chunk : chunks) {
    if (chunk.kind == PromptChunk::Kind::kText) {
      assembly.put_text(tokenizer.encode(chunk.text));
      continue;
    }
    assembly.begin_image();
    const ImageText& written = images[image++];
    for (const ImageText::Run& run : written.runs) {
      if (!run.before.empty()) assembly.put_text(tokenizer.encode(run.before));
      assembly.put_run(run.placeholders);
    }
    if (!written.after.empty()) assembly.put_text(tokenizer.encode(written.after));
  }
  return assembly.take();
}

void shift(TokenizedPrompt& prompt, int64_t by) {
  for (TokenSpan& span : prompt.images) {
    span.begin += by;
    span.end += by;
  }
  for (int64_t& index : prompt.placeholders) index += by;
}

}  // namespace

std::optional<std::string> placeholder_text(const Tokenizer& tokenizer, int64_t id) {
  std::optional<std::string> text = tokenizer.id_to_token(id);
  if (text && tokenizer.encode(*text) != std::vector<int64_t>{id}) text.reset();
  return text;
}

ImageText ImageText::one_run(int64_t placeholders) {
  ImageText text;
  text.runs.push_back({"", placeholders});
  return text;
}

int64_t ImageText::placeholders() const {
  int64_t count = 0;
  for (const Run& run : runs) count += run.placeholders;
  return count;
}

TokenSpan TokenizedPrompt::image_span() const {
  if (images.empty()) return {};
  return {images.front().begin, images.back().end};
}

TokenizedPrompt tokenize_prompt(const Tokenizer& tokenizer, const std::vector<PromptChunk>& chunks,
                                int64_t image_token_id, const std::vector<ImageText>& images,
                                bool add_special) {
  const auto places =
      static_cast<size_t>(std::count_if(chunks.begin(), chunks.end(), [](const PromptChunk& chunk) {
        return chunk.kind == PromptChunk::Kind::kImage;
      }));
  if (places != images.size()) {
    fail("the prompt has {} {} placeholder{} for {} image{}", places, kImagePlaceholder,
         places == 1 ? "" : "s", images.size(), images.size() == 1 ? "" : "s");
  }
  const std::optional<std::string> placeholder =
      image_token_id >= 0 ? placeholder_text(tokenizer, image_token_id) : std::nullopt;
  TokenizedPrompt prompt =
      placeholder ? encode_whole(tokenizer, chunks, image_token_id, *placeholder, images)
                  : encode_pieces(tokenizer, chunks, image_token_id, images);
  if (!add_special) return prompt;
  const std::vector<int64_t> prefix = ids_before_text(tokenizer, BosRule::kAuto);
  const std::vector<int64_t>& suffix = tokenizer.special_ids().suffix;
  const bool has_prefix = prompt.ids.size() >= prefix.size() &&
                          std::equal(prefix.begin(), prefix.end(), prompt.ids.begin());
  if (!has_prefix) {
    prompt.ids.insert(prompt.ids.begin(), prefix.begin(), prefix.end());
    shift(prompt, static_cast<int64_t>(prefix.size()));
  }
  prompt.ids.insert(prompt.ids.end(), suffix.begin(), suffix.end());
  return prompt;
}

}  // namespace elastikv
