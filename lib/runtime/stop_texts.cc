#include "runtime/stop_texts.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace elastikv {

StopTexts::StopTexts(std::vector<std::string> texts, const Tokenizer& tokenizer, size_t sequences)
    : texts_(std::move(texts)), written_(sequences) {
  for (const std::string& text : texts_) {
    ELASTIKV_ASSERT(!text.empty(), "a stop text is empty");
    longest_ = std::max(longest_, text.size());
  }
  decoders_.reserve(sequences);
  for (size_t i = 0; i < sequences; ++i) decoders_.emplace_back(tokenizer, /*skip_special=*/true);
}

size_t StopTexts::find(const std::string& text, size_t from) const {
  const size_t visible = text.find_first_not_of(" \t\r\n");
  if (visible == std::string::npos) return visible;
  from = std::max(from, visible);
  size_t first = std::string::npos;
  for (const std::string& stop : texts_) first = std::min(first, text.find(stop, from));
  return first;
}

bool StopTexts::add(size_t sequence, int64_t token) {
  std::string& text = written_.at(sequence);
  // A stop text may have begun in an earlier token.
  const size_t from = text.size() - std::min(text.size(), longest_ - 1);
  text += decoders_.at(sequence).push(token);
  return find(text, from) != std::string::npos;
}

std::string StopTexts::cut(std::string text) const {
  const size_t first = find(text, 0);
  if (first != std::string::npos) text.resize(first);
  return text;
}

}  // namespace elastikv
