#include "text/streaming_decoder.h"

#include <utility>

namespace elastikv {
namespace {

std::string join(const std::vector<std::string>& pieces) {
  std::string text;
  for (const std::string& piece : pieces) text += piece;
  return text;
}

}  // namespace

StreamingDecoder::StreamingDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(tokenizer),
      skip_special_(skip_special),
      run_(tokenizer.start_decoding(skip_special)) {}

std::string StreamingDecoder::push(int64_t id) {
  std::optional<std::string> token = tokenizer_.id_to_token(id);
  if (!token || (skip_special_ && tokenizer_.is_special(id))) return "";
  std::vector<std::string> pieces;
  run_->push(std::move(*token), pieces);
  return join(pieces);
}

std::string StreamingDecoder::flush() {
  std::vector<std::string> pieces;
  run_->finish(pieces);
  run_ = tokenizer_.start_decoding(skip_special_);
  return join(pieces);
}

}  // namespace elastikv
