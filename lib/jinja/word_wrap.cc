#include "jinja/word_wrap.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "jinja/characters.h"

namespace elastikv::jinja {
namespace {

using Characters = std::u32string;
using Chunk = std::u32string_view;

Characters characters_of(std::string_view text) {
  Characters out;
  for (size_t at = 0; at < text.size(); at += character_size(text[at])) {
    out += character_at(text, at);
  }
  return out;
}

/// textwrap knows ASCII's white space alone.
bool is_blank(char32_t c) { return (c >= 0x9 && c <= 0xD) || c == U' '; }
bool is_word(char32_t c) { return c == U'_' || is_alnum(c); }
bool is_letter(char32_t c) { return is_word(c) && !is_decimal(c); }
bool is_word_or_mark(char32_t c) {
  constexpr std::u32string_view kMarks = U"!\"'&.,?";
  return is_word(c) || kMarks.find(c) != std::u32string_view::npos;
}

/// Cuts a paragraph where a line may end: at white space, behind hyphens within words, around
/// dashes.
class Cutter {
 public:
  Cutter(Chunk text, bool at_hyphens) : text_(text), at_hyphens_(at_hyphens) {}

  std::vector<Chunk> run() {
    std::vector<Chunk> chunks;
    for (size_t at = 0; at < text_.size();) {
      const size_t end = is_blank(text_[at]) ? run_end(at, true)
                         : at_hyphens_       ? word_end(at)
                                             : run_end(at, false);
      chunks.push_back(text_.substr(at, end - at));
      at = end;
    }
    return chunks;
  }

 private:
  char32_t get(size_t at) const { return at < text_.size() ? text_[at] : 0; }

  size_t run_end(size_t at, bool blank) const {
    while (at < text_.size() && is_blank(text_[at]) == blank) ++at;
    return at;
  }

  size_t hyphens_end(size_t at) const {
    while (get(at) == U'-') ++at;
    return at;
  }

  /// Whether a dash (two hyphens or more before a word) begins at `at`, behind a word.
  bool is_dash(size_t at) const {
    if (at == 0 || !is_word_or_mark(text_[at - 1])) return false;
    const size_t end = hyphens_end(at);
    return end - at >= 2 && is_word(get(end));
  }

  /// Whether the hyphen at `at` divides a word.
  bool divides(size_t at) const {
    if (get(at) != U'-' || at == 0 || !is_letter(text_[at - 1])) return false;
    const bool two_letters = at >= 2 && is_letter(text_[at - 2]);
    const bool letter_hyphen = at >= 3 && text_[at - 2] == U'-' && is_letter(text_[at - 3]);
    if (!two_letters && !letter_hyphen) return false;
    const size_t next = at + 1;
    if (!is_letter(get(next))) return false;
    return is_letter(get(next + 1)) || (get(next + 1) == U'-' && is_letter(get(next + 2)));
  }

  size_t word_end(size_t at) const {
    if (is_dash(at)) return hyphens_end(at);
    for (size_t end = at + 1; end <= text_.size(); ++end) {
      if (divides(end)) return end + 1;
      if (end == text_.size() || is_blank(text_[end]) || is_dash(end)) return end;
    }
    return text_.size();
  }

  Chunk text_;
  bool at_hyphens_;
};

bool is_blank_chunk(Chunk chunk) { return std::all_of(chunk.begin(), chunk.end(), is_space); }

}  // namespace

std::vector<std::string> wrapped(std::string_view text, const WrapOptions& options) {
  if (options.width <= 0) fail("invalid width {} (must be > 0)", options.width);
  const auto width = static_cast<size_t>(options.width);
  const Characters characters = characters_of(text);
  std::vector<Chunk> chunks = Cutter(characters, options.break_on_hyphens).run();
  std::reverse(chunks.begin(), chunks.end());
  std::vector<std::string> lines;
  while (!chunks.empty()) {
    if (!lines.empty() && is_blank_chunk(chunks.back())) chunks.pop_back();
    std::vector<Chunk> line;
    size_t used = 0;
    while (!chunks.empty() && used + chunks.back().size() <= width) {
      used += chunks.back().size();
      line.push_back(chunks.back());
      chunks.pop_back();
    }
    if (!chunks.empty() && chunks.back().size() > width) {
      Chunk& chunk = chunks.back();
      if (options.break_long_words) {
        const size_t room = width - used;
        size_t end = room;
        if (options.break_on_hyphens && chunk.size() > room && room > 0) {
          // Behind the last hyphen that still fits, unless there is nothing else before it.
          const size_t hyphen = chunk.rfind(U'-', room - 1);
          if (hyphen != Chunk::npos && hyphen > 0 &&
              std::any_of(chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(hyphen),
                          [](char32_t c) { return c != U'-'; })) {
            end = hyphen + 1;
          }
        }
        line.push_back(chunk.substr(0, end));
        chunk.remove_prefix(end);
      } else if (line.empty()) {
        line.push_back(chunk);
        chunks.pop_back();
      }
    }
    if (!line.empty() && is_blank_chunk(line.back())) line.pop_back();
    if (line.empty()) continue;
    std::string& joined = lines.emplace_back();
    for (const Chunk chunk : line) {
      for (const char32_t character : chunk) append_utf8(joined, character);
    }
  }
  return lines;
}

}  // namespace elastikv::jinja
