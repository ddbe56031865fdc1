#include "text/tokenizer.h"

#include <algorithm>
#include <functional>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json_fields.h"
#include "base/utf8.h"
#include "text/added_tokens.h"
#include "text/bpe_model.h"
#include "text/byte_level_files.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/streaming_decoder.h"
#include "text/tiktoken_tokenizer.h"
#include "text/tokenizer_settings.h"

namespace elastikv {
namespace {

const nlohmann::json& model_of(const JsonFields& file) {
  if (!file.has("model") || !file.json()["model"].is_object()) {
    file.fail_key("model", "is missing (an object is needed)");
  }
  return file.json()["model"];
}

template <typename Part>
std::unique_ptr<Part> make_if_present(const JsonFields& file, std::string_view key,
                                      std::unique_ptr<Part> (*make)(const JsonFields&)) {
  return file.has(key) ? make(file.object(key)) : nullptr;
}

/// The pipeline of a tokenizer.json: added tokens, normalizer, pre-tokenizer, model.
class FileTokenizer final : public Tokenizer {
 public:
  /// `bos`: the text of its BOS; empty for none.
  FileTokenizer(const JsonFields& file, const std::string& bos)
      : model_(model_of(file), file.origin()),
        normalizer_(make_if_present(file, "normalizer", make_normalizer)),
        pre_tokenizer_(make_if_present(file, "pre_tokenizer", make_pre_tokenizer)),
        decoder_(make_if_present(file, "decoder", make_decoder)),
        added_(file, model_, normalizer_.get()) {
    if (decoder_ == nullptr) decoder_ = make_blank_decoder();
    if (file.has("post_processor")) {
      special_ids_ = read_post_processor(file.object("post_processor"));
    }
    for (const auto& [token, id] : model_.vocabulary()) put_token(id, token);
    for (const AddedToken& token : added_.tokens()) {
      put_token(token.id, token.spelling);
      added_ids_.emplace(token.content, token.id);
    }
    if (!bos.empty()) bos_id_ = token_to_id(bos);
    // The model has no embedding for an id that no token has.
    for (const std::vector<int64_t>* around : {&special_ids_.prefix, &special_ids_.suffix}) {
      for (const int64_t id : *around) {
        if (tokens_.contains(id)) continue;
        file.fail_key("post_processor", fmt::format("puts the id {}, which no token has", id));
      }
    }
  }

  std::vector<int64_t> encode(std::string_view text, bool add_special) const override {
    std::string repaired;
    if (!is_valid_utf8(text)) {
      repaired = replace_broken_utf8(text);
      text = repaired;
    }
    std::vector<int64_t> ids;
    if (add_special) ids = special_ids_.prefix;
    for (const TokenizedPart& part : added_.cut(text, /*normalized=*/false)) {
      if (part.id) {
        ids.push_back(*part.id);
      } else {
        const std::string_view between =
            text.substr(part.span.begin, part.span.end - part.span.begin);
        encode_between(std::string(between), /*at_start=*/part.span.begin == 0, ids);
      }
    }
    if (add_special) ids.insert(ids.end(), special_ids_.suffix.begin(), special_ids_.suffix.end());
    return ids;
  }

  std::optional<int64_t> token_to_id(std::string_view token) const override {
    const auto found = added_ids_.find(token);
    if (found != added_ids_.end()) return found->second;
    return model_.token_to_id(token);
  }
  std::optional<std::string> id_to_token(int64_t id) const override {
    const auto found = tokens_.find(id);
    if (found == tokens_.end()) return std::nullopt;
    return found->second;
  }
  int64_t vocab_size() const override { return vocab_size_; }
  bool is_special(int64_t id) const override { return added_.is_special(id); }
  const SpecialIds& special_ids() const override { return special_ids_; }
  std::unique_ptr<DecoderRun> start_decoding(bool) const override {
    return decoder_->start(/*fused=*/false);
  }

 private:
  void put_token(int64_t id, const std::string& token) {
    tokens_[id] = token;
    vocab_size_ = std::max(vocab_size_, id + 1);
  }

  void encode_between(std::string text, bool at_start, std::vector<int64_t>& ids) const {
    if (normalizer_ != nullptr) text = normalizer_->normalize(std::move(text));
    for (const TokenizedPart& part : added_.cut(text, /*normalized=*/true)) {
      if (part.id) {
        ids.push_back(*part.id);
        continue;
      }
      std::vector<TextPiece> pieces;
      pieces.push_back({text.substr(part.span.begin, part.span.end - part.span.begin),
                        at_start && part.span.begin == 0});
      if (pre_tokenizer_ != nullptr) pieces = pre_tokenizer_->split(std::move(pieces));
      for (const TextPiece& piece : pieces) model_.encode(piece.text, ids);
    }
  }

  BpeModel model_;
  std::unique_ptr<Normalizer> normalizer_;
  std::unique_ptr<PreTokenizer> pre_tokenizer_;
  std::unique_ptr<Decoder> decoder_;
  AddedTokens added_;
  SpecialIds special_ids_;
  std::unordered_map<int64_t, std::string> tokens_;
  TokenIds added_ids_;
  int64_t vocab_size_ = 0;
};

/// The 'bos_token' that the files beside a tokenizer name, as a text or an object with its
/// 'content'; GPT-2's where they leave it out for that; empty for none.
std::string bos_text(const std::filesystem::path& folder) {
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    if (!path_exists(folder / name)) continue;
    const JsonFields file = JsonFields::read(folder / name);
    const auto found = file.json().find("bos_token");
    if (found == file.json().end()) continue;
    if (found->is_string()) return found->get<std::string>();
    return found->is_object() ? file.object("bos_token").string("content", "") : "";
  }
  const std::string kind = read_tokenizer_config(folder).string("tokenizer_class", "");
  return kind.starts_with("GPT2Tokenizer") ? "<|endoftext|>" : "";
}

/// The files that say the rest where the vocabulary does not say everything.
std::vector<std::string> with_settings(std::vector<std::string> files,
                                       const std::function<bool(const std::string&)>& is_there) {
  for (const char* name :
       {"tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"}) {
    if (is_there(name)) files.emplace_back(name);
  }
  return files;
}

/// The files of a folder that make its tokenizer; the first says which kind it is.
std::vector<std::string> tokenizer_files(const std::filesystem::path& folder) {
  const auto is_there = [&](const std::string& name) { return path_exists(folder / name); };
  for (const char* whole : {"tokenizer.json", "tokenizer.model", "qwen.tiktoken"}) {
    if (!is_there(whole)) continue;
    if (std::string_view(whole) != "tokenizer.model") return {whole};
    return with_settings({whole}, is_there);
  }
  if (is_there("vocab.json") && is_there("merges.txt")) {
    return with_settings({"vocab.json", "merges.txt"}, is_there);
  }
  fail(
      "{}: no tokenizer; tokenizer.json, tokenizer.model, qwen.tiktoken, or vocab.json with "
      "merges.txt is needed",
      folder.string());
}

}  // namespace

std::string Tokenizer::decode(const std::vector<int64_t>& ids, bool skip_special) const {
  StreamingDecoder decoder(*this, skip_special);
  std::string text;
  for (const int64_t id : ids) text += decoder.push(id);
  return text + decoder.flush();
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& checkpoint) {
  const auto path = [&](const std::string& name) { return checkpoint / name; };
  const std::vector<std::string> files = tokenizer_files(checkpoint);
  if (files[0] == "tokenizer.model") return load_sentencepiece_tokenizer(checkpoint);
  if (files[0] == "qwen.tiktoken") return load_tiktoken_tokenizer(path(files[0]));
  if (files[0] == "vocab.json") {
    return std::make_unique<FileTokenizer>(
        JsonFields(read_byte_level_files(checkpoint), path(files[0]).string()),
        bos_text(checkpoint));
  }
  return std::make_unique<FileTokenizer>(JsonFields::read(path(files[0])), bos_text(checkpoint));
}

std::string tokenizer_hash(const std::filesystem::path& checkpoint) {
  std::vector<std::string> hashes;
  for (const std::string& name : tokenizer_files(checkpoint)) {
    hashes.push_back(file_hash(checkpoint / name));
  }
  return hashes.size() == 1 ? hashes[0] : content_hash(fmt::format("{}", fmt::join(hashes, " ")));
}

}  // namespace elastikv
