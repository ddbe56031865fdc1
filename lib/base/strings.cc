#include "base/strings.h"

#include <cstddef>

namespace elastikv {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

std::string replace_each(std::string_view text, std::string_view what, std::string_view content) {
  std::string result;
  size_t done = 0;
  for (size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, done)) {
    result.append(text.substr(done, at - done));
    result.append(content);
    done = at + what.size();
  }
  return result.append(text.substr(done));
}

std::string listed(const std::vector<std::string>& texts, std::string_view before_last) {
  std::string list;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (i > 0 && i + 1 == texts.size()) {
      list.append(" ").append(before_last).append(" ");
    } else if (i > 0) {
      list += ", ";
    }
    list += texts[i];
  }
  return list;
}

void unify_line_ends(std::string& text) {
  if (text.find('\r') == std::string::npos) return;
  size_t to = 0;
  for (size_t from = 0; from < text.size(); ++from) {
    const bool before_newline =
        text[from] == '\r' && from + 1 < text.size() && text[from + 1] == '\n';
    if (!before_newline) text[to++] = text[from] == '\r' ? '\n' : text[from];
  }
  text.resize(to);
}

}  // namespace elastikv
