#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "text/streaming_decoder.h"
#include "text/tokenizer.h"

namespace elastikv {

/// Texts at which generated ones end, looked for in what several sequences write, token by token.
/// In front of a text's first visible character they do not count: models begin with blanks and
/// line ends that kits take off.
class StopTexts final {
 public:
  /// None of the texts may be empty.
  StopTexts(std::vector<std::string> texts, const Tokenizer& tokenizer, size_t sequences);

  /// Adds a token to a sequence's text; true where one of the texts stands in it now.
  bool add(size_t sequence, int64_t token);
  /// A whole text up to the first of the texts that stands in it, which may be all of it.
  std::string cut(std::string text) const;

 private:
  /// Where the first of the texts begins, from `from` on, or npos.
  size_t find(const std::string& text, size_t from) const;

  std::vector<std::string> texts_;
  size_t longest_ = 0;
  std::vector<StreamingDecoder> decoders_;
  std::vector<std::string> written_;
};

}  // namespace elastikv
