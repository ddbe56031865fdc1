#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/json_fields.h"
#include "text/bpe_model.h"
#include "text/normalizer.h"
#include "text/regex.h"

namespace elastikv {

/// An entry of "added_tokens": a text that becomes one token before the model sees anything.
struct AddedToken {
  int64_t id = 0;
  std::string content;
  /// Matches only where no letter, digit or underscore adjoins.
  bool single_word = false;
  /// Swallows the white space before it, behind it.
  bool lstrip = false;
  bool rstrip = false;
  /// Is looked for in the normalized text rather than in the text as given.
  bool normalized = false;
  bool special = false;
  /// What is looked for and what decoding gives: the content, normalized if `normalized`.
  std::string spelling;
};

/// A part of a text: an added token, or what lies between two of them.
struct TokenizedPart {
  ByteSpan span;
  std::optional<int64_t> id;
};

/// Finds the added tokens of a text: at the leftmost place any matches, the longest.
class AddedTokens final {
 public:
  /// Reads "added_tokens" (may be missing). Error naming the entry when its id is negative, already
  /// another token's, or not the one the vocabulary gives this content.
  AddedTokens(const JsonFields& tokenizer, const BpeModel& model, const Normalizer* normalizer);
  /// Takes tokens that are checked already; none may be `normalized`.
  AddedTokens(std::vector<AddedToken> tokens, const std::string& origin);

  /// Cuts a text at the added tokens that are looked for before (`normalized` false) or after
  /// normalization. White space swallowed by a token belongs to its span.
  std::vector<TokenizedPart> cut(std::string_view text, bool normalized) const;

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  bool is_special(int64_t id) const { return special_.contains(id); }

 private:
  /// The texts to look for, as a tree of their bytes.
  class Tree {
   public:
    void add(std::string_view text, size_t token);
    /// The longest text that stands at `position`.
    struct Match {
      size_t token = 0;
      size_t size = 0;
    };
    std::optional<Match> longest_at(std::string_view text, size_t position) const;

   private:
    struct Node {
      std::unordered_map<char, size_t> next;
      std::optional<size_t> token;
    };
    std::vector<Node> nodes_{1};
  };

  std::vector<AddedToken> tokens_;
  std::unordered_set<int64_t> special_;
  Tree plain_tree_;
  Tree normalized_tree_;
  Regex word_character_;
};

}  // namespace elastikv
