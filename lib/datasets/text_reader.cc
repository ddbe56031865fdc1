#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "datasets/readers.h"

namespace elastikv {

/// White space between words stays as it is in the file.
void read_text(const Reading& reading) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  struct Word {
    size_t begin;
    size_t end;
  };
  const DataOptions& options = reading.options;
  const std::string_view text = reading.text.view();
  std::vector<Word> words;
  for (size_t at = text.find_first_not_of(kSpace); at != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kSpace, at), text.size());
    words.push_back({at, end});
    at = text.find_first_not_of(kSpace, end);
  }
  const auto context = static_cast<size_t>(options.context_words);
  const auto window = context + static_cast<size_t>(options.answer_words);
  if (words.size() < window) {
    fail("{}: a window needs {} words ({} of context, {} of answer), the text has {}",
         options.path.string(), window, context, options.answer_words, words.size());
  }
  for (size_t first = 0; first + window <= words.size(); first += window) {
    Draft draft;
    draft.sample.index = static_cast<int64_t>(reading.drafts.size());
    draft.sample.id = fmt::format("window-{}", reading.drafts.size());
    draft.where = draft.sample.id;
    const size_t split = words[first + context - 1].end;
    const size_t begin = words[first].begin;
    draft.sample.question = text.substr(begin, split - begin);
    draft.sample.answer = text.substr(split, words[first + window - 1].end - split);
    reading.drafts.push_back(std::move(draft));
  }
}

void read_tokens(const Tokenizer& tokenizer, const Reading& reading) {
  const TokenWindows& windows = *reading.options.tokens;
  const std::vector<int64_t> ids = tokenizer.encode(reading.text.view());
  const auto count = static_cast<int64_t>(ids.size());
  if (count < windows.length()) {
    fail("{}: a window needs {} tokens ({} of prompt, {} of answer), the text has {}",
         reading.options.path.string(), windows.length(), windows.prompt_tokens,
         windows.answer_tokens, count);
  }
  for (int64_t first = 0; first + windows.length() <= count; first += windows.step()) {
    Draft draft;
    Sample& sample = draft.sample;
    sample.index = static_cast<int64_t>(reading.drafts.size());
    sample.id = fmt::format("tokens-{}", first);
    draft.where = sample.id;
    const auto begin = ids.begin() + first;
    const auto split = begin + windows.prompt_tokens;
    sample.prompt_ids.assign(begin, split);
    sample.answer_ids.assign(split, split + windows.answer_tokens);
    sample.question = tokenizer.decode(sample.prompt_ids, /*skip_special=*/false);
    sample.answer = tokenizer.decode(sample.answer_ids, /*skip_special=*/false);
    reading.drafts.push_back(std::move(draft));
  }
}

}  // namespace elastikv
