#include "text/pattern.h"

#include "base/error.h"

namespace elastikv {

Pattern read_pattern(const JsonFields& fields) {
  const JsonFields pattern = fields.object("pattern");
  if (pattern.has("String")) {
    std::string literal = pattern.string("String");
    if (literal.empty()) pattern.fail_key("String", "is empty, a text to look for is needed");
    return {Regex(escape_regex(literal), fields.origin()), literal};
  }
  if (!pattern.has("Regex")) fields.fail_key("pattern", "has neither 'String' nor 'Regex'");
  return {Regex(pattern.string("Regex"), fields.origin()), ""};
}

std::string replace_all(std::string_view text, const Regex& pattern, std::string_view content) {
  // Several such steps after one another could multiply a text beyond any memory.
  constexpr size_t kMostBytes = size_t{1} << 30;
  if (content.size() > kMostBytes / (text.size() + 1)) {
    fail("the tokenizer's rules could make more than {} bytes of a text of {}", kMostBytes,
         text.size());
  }
  std::string result;
  size_t done = 0;
  for (const ByteSpan& match : pattern.find_all(text)) {
    result.append(text.substr(done, match.begin - done));
    result.append(content);
    done = match.end;
  }
  result.append(text.substr(done));
  return result;
}

}  // namespace elastikv
