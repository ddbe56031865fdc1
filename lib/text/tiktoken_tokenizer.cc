#include "text/tiktoken_tokenizer.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/error.h"
#include "base/files.h"
#include "base/utf8.h"
#include "text/added_tokens.h"
#include "text/bpe_model.h"
#include "text/byte_level.h"
#include "text/byte_level_files.h"
#include "text/pre_tokenizer.h"
#include "text/unicode.h"

namespace elastikv {
namespace {

constexpr int kExtras = 205;

/// The tokens of a file by rank.
std::vector<std::string> read_ranks(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  const auto lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  std::vector<std::string> tokens;
  std::vector<int64_t> line_of;  // by rank; 0: none yet
  tokens.reserve(lines);
  line_of.reserve(lines);
  std::unordered_map<std::string, int64_t> seen;
  std::string_view rest = text;
  for (int64_t number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const size_t blank = std::min(line.find(' '), line.size());
    std::optional<std::string> token = decode_base64(line.substr(0, blank));
    uint64_t rank = 0;
    const char* rank_end = line.data() + line.size();
    const auto [read_to, status] =
        std::from_chars(line.data() + std::min(blank + 1, line.size()), rank_end, rank);
    if (!token || status != std::errc() || read_to != rank_end) {
      fail("{}:{}: '{}' is no token; base64, a blank and a rank are needed", file.string(), number,
           replace_broken_utf8(line));
    }
    if (rank >= lines) {
      fail("{}:{}: has the rank {}, but the file has only {} lines", file.string(), number, rank,
           lines);
    }
    if (rank >= tokens.size()) {
      tokens.resize(rank + 1);
      line_of.resize(rank + 1);
    }
    if (line_of[rank] != 0) {
      fail("{}:{}: has the rank {}, which is already that of line {}", file.string(), number, rank,
           line_of[rank]);
    }
    if (const auto [other, is_new] = seen.emplace(*token, number); !is_new) {
      fail("{}:{}: is the token of line {} once more", file.string(), number, other->second);
    }
    line_of[rank] = number;
    tokens[rank] = std::move(*token);
  }
  const auto gap = std::find(line_of.begin(), line_of.end(), 0);
  if (gap != line_of.end()) {
    fail("{}: no token has the rank {}", file.string(), gap - line_of.begin());
  }
  for (int byte = 0; byte < 256; ++byte) {
    if (!seen.contains(std::string(1, static_cast<char>(byte)))) {
      fail("{}: no token is the byte 0x{:02X}", file.string(), byte);
    }
  }
  return tokens;
}

std::vector<AddedToken> special_tokens(int64_t first_id) {
  std::vector<std::string> texts{"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  for (int i = 0; i < kExtras; ++i) texts.push_back(fmt::format("<|extra_{}|>", i));
  for (const char* text :
       {"<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<img>", "</img>", "<imgpad>"}) {
    texts.emplace_back(text);
  }
  std::vector<AddedToken> tokens;
  tokens.reserve(texts.size());
  for (std::string& text : texts) {
    AddedToken token;
    token.id = first_id + static_cast<int64_t>(tokens.size());
    token.content = std::move(text);
    token.special = true;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

class TiktokenTokenizer final : public Tokenizer {
 public:
  TiktokenTokenizer(const std::vector<std::string>& ranks, const std::string& origin)
      : model_(BpeModel::of_ranked_tokens(ranks)),
        pre_tokenizer_(make_pre_tokenizer({qwen_pre_tokenizer(), origin})),
        decoder_(make_decoder({nlohmann::json{{"type", "ByteLevel"}}, origin})),
        added_(special_tokens(static_cast<int64_t>(ranks.size())), origin) {
    tokens_.reserve(ranks.size() + added_.tokens().size());
    for (const std::string& token : ranks) tokens_.push_back(bytes_to_letters(token));
    for (const AddedToken& token : added_.tokens()) {
      tokens_.push_back(token.content);
      added_ids_.emplace(token.content, token.id);
    }
  }

  std::vector<int64_t> encode(std::string_view text, bool) const override {
    const std::string composed =
        normalize_unicode(replace_broken_utf8(text), NormalizationForm::kNfc);
    text = composed;
    std::vector<int64_t> ids;
    for (const TokenizedPart& part : added_.cut(text, /*normalized=*/false)) {
      if (part.id) {
        ids.push_back(*part.id);
        continue;
      }
      const std::string_view between =
          text.substr(part.span.begin, part.span.end - part.span.begin);
      std::vector<TextPiece> pieces;
      pieces.push_back({std::string(between), /*at_start=*/part.span.begin == 0});
      pieces = pre_tokenizer_->split(std::move(pieces));
      for (const TextPiece& piece : pieces) model_->encode(piece.text, ids);
    }
    return ids;
  }

  std::optional<int64_t> token_to_id(std::string_view token) const override {
    const auto found = added_ids_.find(token);
    return found != added_ids_.end() ? found->second : model_->token_to_id(token);
  }
  std::optional<std::string> id_to_token(int64_t id) const override {
    if (id < 0 || id >= vocab_size()) return std::nullopt;
    return tokens_[static_cast<size_t>(id)];
  }
  int64_t vocab_size() const override { return static_cast<int64_t>(tokens_.size()); }
  bool is_special(int64_t id) const override { return added_.is_special(id); }
  const SpecialIds& special_ids() const override { return special_ids_; }
  std::unique_ptr<DecoderRun> start_decoding(bool) const override {
    return decoder_->start(/*fused=*/false);
  }

 private:
  std::unique_ptr<BpeModel> model_;
  std::unique_ptr<PreTokenizer> pre_tokenizer_;
  std::unique_ptr<Decoder> decoder_;
  AddedTokens added_;
  std::vector<std::string> tokens_;  // by id
  TokenIds added_ids_;
  SpecialIds special_ids_;
};

}  // namespace

std::unique_ptr<Tokenizer> load_tiktoken_tokenizer(const std::filesystem::path& file) {
  return std::make_unique<TiktokenTokenizer>(read_ranks(file), file.string());
}

}  // namespace elastikv
