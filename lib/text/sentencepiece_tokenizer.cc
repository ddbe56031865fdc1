#include "text/sentencepiece_tokenizer.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/strings.h"
#include "base/utf8.h"
#include "text/added_tokens.h"
#include "text/bpe_model.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer_settings.h"

namespace elastikv {
namespace {

/// SentencePiece's spelling of a blank.
constexpr std::string_view kMark = "\u2581";

/// How the tokens of one tokenizer become text.
struct DecodingRules {
  const SentencePieceModel* model = nullptr;
  /// Named special tokens: never read by the model.
  std::set<std::string, std::less<>> special;
  /// Other added tokens: each stands apart, with blanks around.
  std::set<std::string, std::less<>> apart;
  bool legacy = true;
  bool add_prefix_space = true;
};

/// SentencePiece's own decoding: pieces to text, as they come.
class PieceReader {
 public:
  explicit PieceReader(const SentencePieceModel& model) : model_(&model) {}

  std::string push(std::string_view piece) {
    const PieceKind kind = model_->kind(piece);
    if (kind == PieceKind::kByte) {
      bytes_.push_back(static_cast<char>(std::stoi(std::string(piece.substr(3, 2)), nullptr, 16)));
      return read_bytes(/*at_end=*/false);
    }
    std::string text = read_bytes(/*at_end=*/true);
    if (mark_taken_ || any_text_) at_front_ = false;
    mark_taken_ = false;
    if (kind == PieceKind::kUnknown) {
      text += model_->find(piece) ? std::string_view(model_->unknown_text()) : piece;
    } else if (kind == PieceKind::kText) {
      const bool takes_mark = model_->adds_dummy_prefix() || model_->removes_extra_blanks();
      if (at_front_ && takes_mark && piece.starts_with(kMark)) {
        piece.remove_prefix(kMark.size());
        // Where extra blanks go, all marks in front go, else only the first.
        mark_taken_ = !model_->removes_extra_blanks();
      }
      text += replace_each(piece, kMark, " ");
    }
    any_text_ = any_text_ || !text.empty();
    return text;
  }
  std::string finish() { return read_bytes(/*at_end=*/true); }

 private:
  /// The characters that the bytes held so far make; a byte that belongs to none is U+FFFD.
  std::string read_bytes(bool at_end) {
    std::string text;
    size_t at = 0;
    while (at < bytes_.size()) {
      const Utf8Step step = utf8_step(bytes_, at);
      if (step.cut_short && !at_end) break;
      append_utf8(text, step.character);
      at += step.valid ? step.size : 1;
    }
    bytes_.erase(0, at);
    any_text_ = any_text_ || !text.empty();
    return text;
  }

  const SentencePieceModel* model_;
  std::string bytes_;
  bool at_front_ = true;
  bool any_text_ = false;
  bool mark_taken_ = false;
};

/// Reads one stretch of tokens without any that stand apart: groups of pieces between special
/// tokens. By the older rules a group that a special token ends has a blank in front, so such a
/// group is held back until it ends, unless no special token will come.
class SegmentReader {
 public:
  SegmentReader(const DecodingRules& rules, bool skip_special)
      : rules_(&rules), holds_(rules.legacy && !skip_special), group_(*rules.model) {}

  std::string push(std::string_view token) {
    if (tokens_ == 0 && rules_->add_prefix_space && token.starts_with(kMark)) {
      token.remove_prefix(kMark.size());
    }
    std::string text;
    if (rules_->special.contains(token)) {
      if (rules_->legacy && group_size_ > 0) text = " ";
      text += held_ + group_.finish();
      text += token;
      held_.clear();
      group_ = PieceReader(*rules_->model);
      group_size_ = 0;
    } else {
      const bool second_of_special = tokens_ == 1 && group_size_ == 0;
      if (second_of_special && rules_->add_prefix_space && !token.starts_with(kMark)) text = " ";
      (holds_ ? held_ : text) += group_.push(token);
      ++group_size_;
    }
    ++tokens_;
    return text;
  }
  std::string finish() { return held_ + group_.finish(); }

 private:
  const DecodingRules* rules_;
  bool holds_;
  PieceReader group_;
  std::string held_;
  int64_t group_size_ = 0;
  int64_t tokens_ = 0;
};

/// Segments and the tokens that stand apart, with a blank between any two.
class SentencePieceRun final : public DecoderRun {
 public:
  SentencePieceRun(const DecodingRules& rules, bool skip_special)
      : rules_(rules), skip_special_(skip_special) {}

  void push(std::string piece, std::vector<std::string>& out) override {
    if (!rules_.apart.contains(piece)) {
      if (!segment_) segment_.emplace(rules_, skip_special_);
      put_segment(segment_->push(piece), out);
      return;
    }
    if (segment_) put_segment(segment_->finish(), out);
    segment_.reset();
    if (said_in_segment_) ++parts_;
    said_in_segment_ = false;
    out.push_back(parts_ > 0 ? fmt::format(" {}", piece) : std::move(piece));
    ++parts_;
  }
  void finish(std::vector<std::string>& out) override {
    if (!segment_) return;
    put_segment(segment_->finish(), out);
    // The last segment counts as a part even when it says nothing.
    if (!said_in_segment_ && parts_ > 0) out.emplace_back(" ");
    segment_.reset();
  }

 private:
  void put_segment(std::string text, std::vector<std::string>& out) {
    if (text.empty()) return;
    if (!said_in_segment_ && parts_ > 0) out.emplace_back(" ");
    said_in_segment_ = true;
    out.push_back(std::move(text));
  }

  const DecodingRules& rules_;
  bool skip_special_;
  std::optional<SegmentReader> segment_;
  bool said_in_segment_ = false;
  int64_t parts_ = 0;
};

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(const std::filesystem::path& folder, const JsonFields& config)
      : model_(folder / "tokenizer.model",
               /*without_dummy_prefix=*/!config.boolean("legacy", /*otherwise=*/true)),
        settings_(read_tokenizer_settings(
            folder, {[this](std::string_view token) { return model_.find(token); }, model_.size()},
            {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}})),
        added_(settings_.added, folder.string()),
        vocab_size_(model_.size()) {
    rules_.model = &model_;
    rules_.legacy = config.boolean("legacy", /*otherwise=*/true);
    rules_.add_prefix_space = config.boolean("add_prefix_space", /*otherwise=*/true);
    for (const AddedToken& token : settings_.added) {
      if (token.single_word) {
        config.fail_key(fmt::format("added_tokens_decoder.{}.single_word", token.id),
                        "is true, which is not supported beside a tokenizer.model");
      }
      by_text_.emplace(token.content, token.id);
      by_id_.emplace(token.id, token.content);
      vocab_size_ = std::max(vocab_size_, token.id + 1);
      const bool special = settings_.is_special(token.content);
      if (special) special_ids_set_.insert(token.id);
      const bool far = settings_.additional.contains(token.content) && token.id >= model_.size();
      (special && !far ? rules_.special : rules_.apart).insert(token.content);
    }
    bos_id_ = settings_.id_of("bos_token");
    if (config.boolean("add_bos_token", /*otherwise=*/true)) {
      special_ids_.prefix.push_back(id_of_part(config, "bos_token", "add_bos_token"));
    }
    if (config.boolean("add_eos_token", /*otherwise=*/false)) {
      special_ids_.suffix.push_back(id_of_part(config, "eos_token", "add_eos_token"));
    }
    if (!rules_.legacy) {
      unknown_ = id_of_part(config, "unk_token", "legacy");
      std::vector<int64_t> ids;
      model_.encode(by_id_.at(unknown_), ids);
      unknown_size_ = ids.size();
    }
  }

  std::vector<int64_t> encode(std::string_view text, bool add_special) const override {
    std::string changed;
    if (!is_valid_utf8(text)) {
      changed = replace_broken_utf8(text);
      text = changed;
    }
    if (!rules_.legacy && !text.empty()) {
      std::string marked(rules_.add_prefix_space ? kMark : "");
      marked += replace_each(text, kMark, " ");
      changed = std::move(marked);
      text = changed;
    }
    std::vector<int64_t> ids;
    for (const TokenizedPart& part : added_.cut(text, /*normalized=*/false)) {
      if (part.id) {
        ids.push_back(*part.id);
      } else {
        encode_between(text.substr(part.span.begin, part.span.end - part.span.begin), ids);
      }
    }
    // A special token in front needs no blank before it.
    if (!rules_.legacy && ids.size() > 1 && ids[0] == model_.find(kMark) &&
        special_ids_set_.contains(ids[1])) {
      ids.erase(ids.begin());
    }
    if (add_special) {
      ids.insert(ids.begin(), special_ids_.prefix.begin(), special_ids_.prefix.end());
      ids.insert(ids.end(), special_ids_.suffix.begin(), special_ids_.suffix.end());
    }
    return ids;
  }

  std::optional<int64_t> token_to_id(std::string_view token) const override {
    const auto found = by_text_.find(token);
    return found != by_text_.end() ? found->second : model_.find(token);
  }
  std::optional<std::string> id_to_token(int64_t id) const override {
    const auto found = by_id_.find(id);
    if (found != by_id_.end()) return found->second;
    if (id < 0 || id >= model_.size()) return std::nullopt;
    return model_.piece(id);
  }
  int64_t vocab_size() const override { return vocab_size_; }
  bool is_special(int64_t id) const override { return special_ids_set_.contains(id); }
  const SpecialIds& special_ids() const override { return special_ids_; }
  std::unique_ptr<DecoderRun> start_decoding(bool skip_special) const override {
    return std::make_unique<SentencePieceRun>(rules_, skip_special);
  }

 private:
  int64_t id_of_part(const JsonFields& config, const char* part, const char* asked_by) const {
    const auto id = settings_.id_of(part);
    if (!id) config.fail_key(part, fmt::format("is null, but {} asks for it", asked_by));
    return *id;
  }

  void encode_between(std::string_view text, std::vector<int64_t>& ids) const {
    if (rules_.legacy || !(text.starts_with(kMark) || text.starts_with(' '))) {
      model_.encode(text, ids);
      return;
    }
    // The library takes blanks at the front of a text away. Behind the unknown token's text they
    // stay, and its ids are dropped again.
    std::vector<int64_t> found;
    model_.encode(by_id_.at(unknown_) + std::string(text), found);
    const size_t dropped = found.size() >= unknown_size_ ? unknown_size_ : 0;
    ids.insert(ids.end(), found.begin() + static_cast<ptrdiff_t>(dropped), found.end());
  }

  SentencePieceModel model_;
  TokenizerSettings settings_;
  AddedTokens added_;
  DecodingRules rules_;
  std::set<int64_t> special_ids_set_;
  SpecialIds special_ids_;
  TokenIds by_text_;
  std::unordered_map<int64_t, std::string> by_id_;
  int64_t vocab_size_ = 0;
  int64_t unknown_ = -1;
  size_t unknown_size_ = 0;
};

}  // namespace

std::unique_ptr<Tokenizer> load_sentencepiece_tokenizer(const std::filesystem::path& folder) {
  const JsonFields config = read_tokenizer_config(folder);
  const std::string kind = config.string("tokenizer_class", "LlamaTokenizer");
  if (kind != "LlamaTokenizer" && kind != "LlamaTokenizerFast") {
    config.fail_key("tokenizer_class",
                    fmt::format("is '{}', which is not supported beside a tokenizer.model; "
                                "supported: LlamaTokenizer, LlamaTokenizerFast",
                                kind));
  }
  return std::make_unique<SentencePieceTokenizer>(folder, config);
}

}  // namespace elastikv
