#include "jinja/text_tools.h"

#include <algorithm>

#include "jinja/characters.h"

namespace elastikv::jinja {
namespace {

constexpr size_t kNowhere = std::string_view::npos;

/// The byte behind the white space (or behind what is none) that begins at `at`.
size_t skip(std::string_view text, size_t at, bool space) {
  while (at < text.size() && is_space(character_at(text, at)) == space) {
    at += character_size(text[at]);
  }
  return at;
}

size_t skip_back(std::string_view text, size_t at, bool space) {
  while (at > 0) {
    const size_t previous = before(text, at);
    if (is_space(character_at(text, previous)) != space) break;
    at = previous;
  }
  return at;
}

void require_separator(const std::optional<std::string_view>& separator) {
  if (separator && separator->empty()) fail("empty separator");
}

}  // namespace

std::string replaced(Runtime& runtime, std::string_view text, std::string_view old,
                     std::string_view replacement, int64_t count) {
  runtime.step_bytes(text.size());
  TextBuilder out(runtime);
  int64_t done = 0;
  const auto more = [&] { return count < 0 || done < count; };
  size_t at = 0;
  if (old.empty()) {
    // Before every character, and at the end.
    while (more()) {
      out += replacement;
      ++done;
      if (at >= text.size()) return out.take();
      const size_t size = character_size(text[at]);
      out += text.substr(at, size);
      at += size;
    }
    out += text.substr(at);
    return out.take();
  }
  while (more()) {
    const size_t found = find_text(text, old, at);
    if (found == kNowhere) break;
    out += text.substr(at, found - at);
    out += replacement;
    at = found + old.size();
    ++done;
  }
  out += text.substr(at);
  return out.take();
}

std::vector<std::string_view> split(std::string_view text,
                                    std::optional<std::string_view> separator, int64_t most) {
  require_separator(separator);
  std::vector<std::string_view> parts;
  const auto more = [&] { return most < 0 || static_cast<int64_t>(parts.size()) < most; };
  size_t at = 0;
  if (separator) {
    while (more()) {
      const size_t found = find_text(text, *separator, at);
      if (found == kNowhere) break;
      parts.push_back(text.substr(at, found - at));
      at = found + separator->size();
    }
    parts.push_back(text.substr(at));
    return parts;
  }
  at = skip(text, 0, true);
  while (at < text.size() && more()) {
    const size_t end = skip(text, at, false);
    parts.push_back(text.substr(at, end - at));
    at = skip(text, end, true);
  }
  if (at < text.size()) parts.push_back(text.substr(at, skip_back(text, text.size(), true) - at));
  return parts;
}

std::vector<std::string_view> split_from_right(std::string_view text,
                                               std::optional<std::string_view> separator,
                                               int64_t most) {
  require_separator(separator);
  std::vector<std::string_view> parts;
  const auto more = [&] { return most < 0 || static_cast<int64_t>(parts.size()) < most; };
  size_t end = text.size();
  if (separator) {
    // Found from the left in the text written backwards, so that it takes linear time.
    const std::string backwards(text.rbegin(), text.rend());
    const std::string wanted(separator->rbegin(), separator->rend());
    size_t at = 0;
    while (more()) {
      const size_t found = find_text(backwards, wanted, at);
      if (found == kNowhere) break;
      const size_t begin = text.size() - found;
      parts.push_back(text.substr(begin, end - begin));
      end = begin - wanted.size();
      at = found + wanted.size();
    }
    parts.push_back(text.substr(0, end));
  } else {
    end = skip_back(text, end, true);
    while (end > 0 && more()) {
      const size_t begin = skip_back(text, end, false);
      parts.push_back(text.substr(begin, end - begin));
      end = skip_back(text, begin, true);
    }
    if (end > 0) {
      const size_t begin = skip(text, 0, true);
      parts.push_back(text.substr(begin, end - begin));
    }
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t size = character_size(text[at]);
    if (!is_line_end(character_at(text, at))) {
      at += size;
      continue;
    }
    size_t end = at + size;
    if (text[at] == '\r' && end < text.size() && text[end] == '\n') ++end;
    lines.push_back(text.substr(begin, (keep_ends ? end : at) - begin));
    begin = end;
    at = end;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::string_view stripped(std::string_view text, std::optional<std::string_view> characters,
                          bool left, bool right) {
  if (!characters) return strip(text, left, right);
  const auto is_stripped = [&](size_t at) {
    return characters->find(text.substr(at, character_size(text[at]))) != kNowhere;
  };
  size_t begin = 0;
  size_t end = text.size();
  while (left && begin < end && is_stripped(begin)) begin += character_size(text[begin]);
  while (right && end > begin) {
    const size_t last = before(text, end);
    if (!is_stripped(last)) break;
    end = last;
  }
  return text.substr(begin, end - begin);
}

std::string centered(Runtime& runtime, std::string_view text, int64_t width,
                     std::string_view fill) {
  const auto used = static_cast<int64_t>(count_characters(text));
  TextBuilder out(runtime);
  if (width <= used) {
    out += text;
    return out.take();
  }
  const int64_t missing = width - used;
  const int64_t left = missing / 2 + (missing & width & 1);
  out.repeat(fill, static_cast<size_t>(left));
  out += text;
  out.repeat(fill, static_cast<size_t>(missing - left));
  return out.take();
}

std::vector<Value> strings(Runtime& runtime, const std::vector<std::string_view>& texts,
                           const StringObject& like) {
  std::vector<Value> values;
  values.reserve(texts.size());
  for (const std::string_view text : texts) {
    values.push_back(runtime.string(std::string(text), like.markup()));
  }
  return values;
}

}  // namespace elastikv::jinja
