#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "datasets/readers.h"
#include "text/bos.h"

namespace elastikv {
namespace {

/// Windows of words. White space between them stays as it is in the file.
void read_words(const Reading& reading) {
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

/// Windows of a tokenizer's ids.
void read_tokens(const Tokenizer& tokenizer, const Reading& reading) {
  const TokenWindows& windows = *reading.options.tokens;
  const std::string file = reading.options.path.string();
  std::vector<int64_t> before;
  try {
    before = ids_before_text(tokenizer, windows.bos);
  } catch (const Error& error) {
    fail("{}: {}", file, error.what());
  }
  const auto first_of_text = static_cast<int64_t>(before.size());
  if (windows.prompt_tokens < first_of_text) {
    fail("{}: prompt_tokens is {}, but {} tokens stand before a text", file, windows.prompt_tokens,
         first_of_text);
  }
  const std::vector<int64_t> ids = tokenizer.encode(reading.text.view());
  const auto count = static_cast<int64_t>(ids.size());
  const int64_t taken = windows.length() - first_of_text;
  if (count < taken) {
    fail("{}: a window needs {} tokens ({} of prompt, {} of answer){}, the text has {}", file,
         windows.length(), windows.prompt_tokens, windows.answer_tokens,
         first_of_text > 0 ? fmt::format(", {} of them before the text", first_of_text) : "",
         count);
  }
  const int64_t step = windows.stride.value_or(taken);
  // So many windows in a row have ids in common with the first of them.
  const int64_t overlapping = (taken + step - 1) / step;
  for (int64_t first = 0; first + taken <= count; first += step) {
    Draft draft;
    Sample& sample = draft.sample;
    sample.index = static_cast<int64_t>(reading.drafts.size());
    sample.id = fmt::format("tokens-{}", first);
    draft.where = sample.id;
    if (overlapping > 1) {
      draft.shares.push_back(
          fmt::format("text:tokens-{}", sample.index / overlapping * overlapping * step));
    }
    const auto begin = ids.begin() + first;
    const auto split = begin + (windows.prompt_tokens - first_of_text);
    sample.prompt_ids = before;
    sample.prompt_ids.insert(sample.prompt_ids.end(), begin, split);
    sample.answer_ids.assign(split, split + windows.answer_tokens);
    sample.question = tokenizer.decode(sample.prompt_ids, /*skip_special=*/false);
    sample.answer = tokenizer.decode(sample.answer_ids, /*skip_special=*/false);
    reading.drafts.push_back(std::move(draft));
  }
}

void read_windows(const Reading& reading) {
  if (!reading.options.tokens) {
    read_words(reading);
    return;
  }
  ELASTIKV_ASSERT(reading.tokenizer != nullptr, "{}: windows of tokens without a tokenizer",
                  reading.problems.file());
  read_tokens(*reading.tokenizer, reading);
}

}  // namespace

/// A UTF-8 file ending in .txt, cut into windows of context_words + answer_words words or into
/// windows of tokens.
extern const DataFormat kTextFormat{.name = "text",
                                    .looks = "a .txt file",
                                    .extension = ".txt",
                                    .read_text = read_windows,
                                    .in_windows = true};

}  // namespace elastikv
