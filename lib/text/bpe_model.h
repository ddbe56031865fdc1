#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace elastikv {

/// Ids lie below this: far above any vocabulary, and a wild id asks for no memory.
inline constexpr int64_t kTokenIdLimit = int64_t{1} << 24;

/// Hashes text whichever way it is held, so that a map keyed by std::string is searched by view.
struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using TokenIds = std::unordered_map<std::string, int64_t, TextHash, std::equal_to<>>;

/// Byte-pair encoding of one piece of text with a vocabulary and ranked merges (Sennrich et al.,
/// 2016): as long as any pair of neighbours has a merge, the pair of lowest rank, the leftmost of
/// equals, becomes one token.
class BpeModel final {
 public:
  /// Reads the "model" of a tokenizer.json. Error naming `origin` and the entry for another type of
  /// model, an id that is negative or given twice, a merge of unknown tokens.
  BpeModel(const nlohmann::json& model, const std::string& origin);
  /// A model of the tokens of a tiktoken file, the i-th with rank and id i: any two neighbours
  /// whose bytes together are a token have that token's rank as a merge, and a piece that is a
  /// token stays whole. Pieces and vocabulary are spelled in letters for bytes (byte_level.h).
  static std::unique_ptr<BpeModel> of_ranked_tokens(const std::vector<std::string>& tokens);
  ~BpeModel();
  BpeModel(const BpeModel&) = delete;
  BpeModel& operator=(const BpeModel&) = delete;

  /// Appends the ids of a piece (valid UTF-8). Takes O(n log n) time for n characters; may be
  /// called by several threads.
  void encode(std::string_view piece, std::vector<int64_t>& ids) const;

  std::optional<int64_t> token_to_id(std::string_view token) const;
  const TokenIds& vocabulary() const { return vocabulary_; }

 private:
  struct Merge {
    int64_t rank = 0;
    int64_t id = 0;
  };
  struct PairHash {
    size_t operator()(const std::pair<int64_t, int64_t>& pair) const;
  };
  class Cache;

  BpeModel();
  void read_vocabulary(const nlohmann::json& vocabulary);
  void read_merges(const nlohmann::json& merges);
  int64_t merge_part(std::string_view token, size_t index) const;
  const Merge* find_merge(int64_t left, int64_t right) const;
  std::vector<int64_t> first_symbols(std::string_view piece) const;
  void merge_all(std::vector<int64_t>& symbols) const;

  std::string origin_;
  TokenIds vocabulary_;
  std::unordered_map<std::pair<int64_t, int64_t>, Merge, PairHash> merges_;
  std::optional<int64_t> unknown_id_;
  bool fuse_unknown_ = false;
  bool ignore_merges_ = false;
  /// Ids of <0x00> to <0xFF>, -1 where the vocabulary lacks one; empty without byte_fallback.
  std::vector<int64_t> byte_ids_;
  std::unique_ptr<Cache> cache_;
};

}  // namespace elastikv
