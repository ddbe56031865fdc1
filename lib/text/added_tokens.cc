#include "text/added_tokens.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/utf8.h"
#include "text/unicode.h"

namespace elastikv {
namespace {

/// Start of the white space that ends at `end`.
size_t whitespace_before(std::string_view text, size_t end) {
  size_t begin = end;
  while (begin > 0) {
    size_t start = begin - 1;
    while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    if (!is_whitespace(utf8_step(text, start).character)) break;
    begin = start;
  }
  return begin;
}

/// End of the white space that starts at `begin`.
size_t whitespace_behind(std::string_view text, size_t begin) {
  while (begin < text.size()) {
    const Utf8Step step = utf8_step(text, begin);
    if (!is_whitespace(step.character)) break;
    begin += step.size;
  }
  return begin;
}

}  // namespace

void AddedTokens::Tree::add(std::string_view text, size_t token) {
  if (text.empty()) return;  // normalized away: nothing to look for
  size_t node = 0;
  for (const char byte : text) {
    const auto found = nodes_[node].next.find(byte);
    if (found != nodes_[node].next.end()) {
      node = found->second;
    } else {
      nodes_[node].next.emplace(byte, nodes_.size());
      node = nodes_.size();
      nodes_.emplace_back();
    }
  }
  if (!nodes_[node].token) nodes_[node].token = token;
}

std::optional<AddedTokens::Tree::Match> AddedTokens::Tree::longest_at(std::string_view text,
                                                                      size_t position) const {
  std::optional<Match> longest;
  size_t node = 0;
  for (size_t at = position; at < text.size(); ++at) {
    const auto found = nodes_[node].next.find(text[at]);
    if (found == nodes_[node].next.end()) break;
    node = found->second;
    if (nodes_[node].token) longest = Match{*nodes_[node].token, at + 1 - position};
  }
  return longest;
}

AddedTokens::AddedTokens(const JsonFields& tokenizer, const BpeModel& model,
                         const Normalizer* normalizer)
    : word_character_(fmt::format("[{}]", kWordCharacters), tokenizer.origin()) {
  if (!tokenizer.has("added_tokens")) return;
  std::unordered_map<int64_t, std::string_view> owners;
  for (const auto& [token, id] : model.vocabulary()) owners.emplace(id, token);
  std::vector<AddedToken> read;
  for (const JsonFields& entry : tokenizer.objects("added_tokens")) {
    AddedToken token;
    token.id = entry.integer("id");
    token.content = entry.string("content");
    token.single_word = entry.boolean("single_word", /*otherwise=*/false);
    token.lstrip = entry.boolean("lstrip", /*otherwise=*/false);
    token.rstrip = entry.boolean("rstrip", /*otherwise=*/false);
    token.special = entry.boolean("special", /*otherwise=*/false);
    token.normalized = entry.boolean("normalized", /*otherwise=*/!token.special);
    if (token.id < 0 || token.id >= kTokenIdLimit) {
      entry.fail_key("id", fmt::format("is {}, an integer from 0 to {} is needed", token.id,
                                       kTokenIdLimit - 1));
    }
    if (token.content.empty()) entry.fail_key("content", "is empty");
    if (const auto known = model.token_to_id(token.content); known && *known != token.id) {
      entry.fail_key("id", fmt::format("is {}, but model.vocab gives '{}' the id {}", token.id,
                                       token.content, *known));
    }
    read.push_back(std::move(token));
  }
  tokens_ = std::move(read);
  for (size_t i = 0; i < tokens_.size(); ++i) {
    AddedToken& token = tokens_[i];
    const auto [owner, is_new] = owners.emplace(token.id, token.content);
    if (!is_new && owner->second != token.content) {
      tokenizer.fail_key(
          fmt::format("added_tokens.{}.id", i),
          fmt::format("is {}, which is already the id of '{}'", token.id, owner->second));
    }
    if (token.special) special_.insert(token.id);
    token.spelling = token.content;
    if (token.normalized && normalizer != nullptr) {
      token.spelling = normalizer->normalize(token.content);
    }
    (token.normalized ? normalized_tree_ : plain_tree_).add(token.spelling, i);
  }
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const std::string& origin)
    : tokens_(std::move(tokens)), word_character_(fmt::format("[{}]", kWordCharacters), origin) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    AddedToken& token = tokens_[i];
    if (token.special) special_.insert(token.id);
    token.spelling = token.content;
    plain_tree_.add(token.spelling, i);
  }
}

std::vector<TokenizedPart> AddedTokens::cut(std::string_view text, bool normalized) const {
  const Tree& tree = normalized ? normalized_tree_ : plain_tree_;
  const auto is_word_at = [&](size_t begin) {
    const Utf8Step step = utf8_step(text, begin);
    return !word_character_.find_all(text.substr(begin, step.size)).empty();
  };
  std::vector<TokenizedPart> parts;
  size_t done = 0;  // everything before it is in a part
  for (size_t at = 0; at < text.size();) {
    const auto match = tree.longest_at(text, at);
    if (!match) {
      at += 1;
      continue;
    }
    const AddedToken& token = tokens_[match->token];
    size_t begin = at;
    size_t end = at + match->size;
    at = end;
    if (token.single_word) {
      size_t before = begin;
      while (before > 0 && (static_cast<unsigned char>(text[--before]) & 0xC0) == 0x80) {
      }
      const bool word_before = begin > 0 && is_word_at(before);
      const bool word_behind = end < text.size() && is_word_at(end);
      if (word_before || word_behind) continue;
    }
    if (token.lstrip) begin = std::max(whitespace_before(text, begin), done);
    if (token.rstrip) end = whitespace_behind(text, end);
    if (done < begin) parts.push_back({{done, begin}, std::nullopt});
    parts.push_back({{begin, end}, token.id});
    done = end;
  }
  if (done < text.size()) parts.push_back({{done, text.size()}, std::nullopt});
  return parts;
}

}  // namespace elastikv
