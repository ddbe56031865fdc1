#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

/// Bytes [begin, end) of a text.
struct ByteSpan {
  size_t begin = 0;
  size_t end = 0;
  bool operator==(const ByteSpan&) const = default;
};

/// A regular expression in Oniguruma's own syntax over UTF-8: the engine and syntax that Hugging
/// Face's tokenizers use. May be shared between threads.
class Regex final {
 public:
  /// Error "ORIGIN: regular expression 'PATTERN' is malformed: REASON".
  Regex(std::string_view pattern, std::string_view origin);

  /// All matches from left to right. An empty match directly behind another match is not one.
  /// `text` must be valid UTF-8.
  std::vector<ByteSpan> find_all(std::string_view text) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
  std::string pattern_;
};

/// The inside of a class of the characters of words as Unicode (UTS 18, annex C) and Rust's \w have
/// them; Oniguruma's own \w also takes ², ½ and their like, and leaves the two joiners out.
inline constexpr std::string_view kWordCharacters =
    R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D})";

/// The expression that matches `literal` and nothing else.
std::string escape_regex(std::string_view literal);

}  // namespace elastikv
