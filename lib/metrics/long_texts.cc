#include "metrics/long_texts.h"

#include <algorithm>

#include "jinja/characters.h"

namespace elastikv {

std::string_view first_line(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of('\n'), text.size()));
  return text.substr(0, text.find('\n'));
}

std::vector<std::string_view> digit_runs(std::string_view text) {
  std::vector<std::string_view> runs;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && jinja::is_decimal(jinja::character_at(text, end)))
      end += jinja::character_size(text[end]);
    if (end > at) runs.push_back(text.substr(at, end - at));
    at = end == at ? at + jinja::character_size(text[at]) : end;
  }
  return runs;
}

std::string spaced_out(std::string_view text, std::string_view characters) {
  std::string spaced(text);
  std::replace_if(
      spaced.begin(), spaced.end(),
      [&](char one) { return characters.find(one) != std::string_view::npos; }, ' ');
  return spaced;
}

std::string single_spaced(std::string_view text) {
  std::string single;
  for (const char one : text) {
    if (one != ' ' || !single.ends_with(' ')) single += one;
  }
  return single;
}

}  // namespace elastikv
