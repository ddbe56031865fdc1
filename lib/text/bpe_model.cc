#include "text/bpe_model.h"

#include <algorithm>
#include <mutex>
#include <queue>
#include <tuple>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_fields.h"
#include "base/utf8.h"
#include "text/byte_level.h"

namespace elastikv {
namespace {

/// Pieces up to this length are worth remembering: words repeat, long runs do not.
constexpr size_t kCachedBytes = 64;
constexpr size_t kCachedPieces = 65536;

/// A token while its piece is being merged: a node of a doubly linked list.
struct Symbol {
  int64_t id = 0;
  int64_t previous = -1;
  int64_t next = -1;
  bool alive = true;
};

/// A merge that was possible when it was queued.
struct Candidate {
  int64_t rank = 0;
  int64_t position = 0;
  int64_t left = 0;
  int64_t right = 0;
  int64_t id = 0;
  bool operator>(const Candidate& other) const {
    return std::tie(rank, position) > std::tie(other.rank, other.position);
  }
};

}  // namespace

class BpeModel::Cache {
 public:
  bool find(std::string_view piece, std::vector<int64_t>& ids) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = pieces_.find(piece);
    if (found == pieces_.end()) return false;
    ids.insert(ids.end(), found->second.begin(), found->second.end());
    return true;
  }
  void put(std::string_view piece, const std::vector<int64_t>& ids) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (pieces_.size() < kCachedPieces) pieces_.emplace(piece, ids);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::vector<int64_t>, TextHash, std::equal_to<>> pieces_;
};

size_t BpeModel::PairHash::operator()(const std::pair<int64_t, int64_t>& pair) const {
  // Both ids fit in 24 bits; a multiplication by an odd number spreads them over the word.
  const auto packed =
      (static_cast<uint64_t>(pair.first) << 32) ^ static_cast<uint64_t>(pair.second);
  const uint64_t spread = packed * 0x9E3779B97F4A7C15ULL;
  return static_cast<size_t>(spread ^ (spread >> 32));
}

BpeModel::BpeModel(const nlohmann::json& model, const std::string& origin)
    : origin_(origin), cache_(std::make_unique<Cache>()) {
  nlohmann::json settings = nlohmann::json::object();
  for (const auto& item : model.items()) {
    if (item.key() != "vocab" && item.key() != "merges") settings[item.key()] = item.value();
  }
  const JsonFields fields(std::move(settings), origin, "model");
  // Files of tokenizers before 0.8 have no type; what tells a BPE model is its merges.
  const std::string type = fields.string("type", model.contains("merges") ? "BPE" : "");
  if (type != "BPE") {
    fields.fail_key("type", fmt::format("is '{}', which is not supported; supported: BPE", type));
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const std::string affix = fields.string(key, "");
    if (!affix.empty()) {
      fields.fail_key(key, fmt::format("is '{}'; only null is supported", affix));
    }
  }
  if (const double dropout = fields.number("dropout", 0); dropout != 0) {
    fields.fail_key("dropout", fmt::format("is {}; only null is supported", dropout));
  }
  if (!model.contains("vocab") || !model["vocab"].is_object()) {
    fields.fail_key("vocab", "is missing (an object of token: id is needed)");
  }
  if (!model.contains("merges") || !model["merges"].is_array()) {
    fields.fail_key("merges", "is missing (a list of pairs of tokens is needed)");
  }
  read_vocabulary(model["vocab"]);
  read_merges(model["merges"]);

  if (fields.has("unk_token")) {
    const std::string unknown = fields.string("unk_token");
    unknown_id_ = token_to_id(unknown);
    if (!unknown_id_) {
      fields.fail_key("unk_token", fmt::format("is '{}', which is not in the vocabulary", unknown));
    }
  }
  fuse_unknown_ = fields.boolean("fuse_unk", /*otherwise=*/false);
  ignore_merges_ = fields.boolean("ignore_merges", /*otherwise=*/false);
  if (fields.boolean("byte_fallback", /*otherwise=*/false)) {
    for (int byte = 0; byte < 256; ++byte) {
      byte_ids_.push_back(token_to_id(fmt::format("<0x{:02X}>", byte)).value_or(-1));
    }
  }
}

BpeModel::BpeModel() : cache_(std::make_unique<Cache>()) {}

std::unique_ptr<BpeModel> BpeModel::of_ranked_tokens(const std::vector<std::string>& tokens) {
  std::unique_ptr<BpeModel> model(new BpeModel);
  model->ignore_merges_ = true;
  std::vector<std::string> spellings;
  spellings.reserve(tokens.size());
  model->vocabulary_.reserve(tokens.size());
  for (const std::string& token : tokens) {
    const auto rank = static_cast<int64_t>(spellings.size());
    spellings.push_back(bytes_to_letters(token));
    model->vocabulary_.emplace(spellings.back(), rank);
  }
  for (size_t id = 0; id < spellings.size(); ++id) {
    const auto rank = static_cast<int64_t>(id);
    const std::string_view spelling = spellings[id];
    for (size_t at = 0; at < spelling.size(); at += utf8_step(spelling, at).size) {
      const auto left = model->token_to_id(spelling.substr(0, at));
      const auto right = left ? model->token_to_id(spelling.substr(at)) : std::nullopt;
      if (right) model->merges_.insert_or_assign({*left, *right}, Merge{rank, /*id=*/rank});
    }
  }
  return model;
}

BpeModel::~BpeModel() = default;

void BpeModel::read_vocabulary(const nlohmann::json& vocabulary) {
  vocabulary_.reserve(vocabulary.size());
  std::unordered_map<int64_t, std::string_view> owners;
  owners.reserve(vocabulary.size());
  for (const auto& item : vocabulary.items()) {
    const nlohmann::json& value = item.value();
    const bool in_range = value.is_number_integer() && value >= 0 && value < kTokenIdLimit;
    if (!in_range) {
      fail("{}: token '{}' of model.vocab has the id {}, an integer from 0 to {} is needed",
           origin_, item.key(), value.dump(), kTokenIdLimit - 1);
    }
    const auto id = value.get<int64_t>();
    const auto entry = vocabulary_.emplace(item.key(), id).first;
    const auto [owner, is_new] = owners.emplace(id, entry->first);
    if (!is_new) {
      fail("{}: tokens '{}' and '{}' of model.vocab have the same id {}", origin_, owner->second,
           item.key(), id);
    }
  }
}

int64_t BpeModel::merge_part(std::string_view token, size_t index) const {
  const auto id = token_to_id(token);
  if (!id) {
    fail("{}: entry {} of model.merges names '{}', which is not in the vocabulary", origin_, index,
         token);
  }
  return *id;
}

void BpeModel::read_merges(const nlohmann::json& merges) {
  merges_.reserve(merges.size());
  int64_t rank = 0;
  for (size_t index = 0; index < merges.size(); ++index) {
    const nlohmann::json& entry = merges[index];
    std::string_view left;
    std::string_view right;
    bool well_formed = false;
    if (entry.is_string()) {
      const std::string_view text = entry.get_ref<const std::string&>();
      if (text.starts_with("#version")) continue;
      const size_t blank = text.find(' ');
      well_formed = blank != std::string_view::npos && text.find(' ', blank + 1) == text.npos;
      if (well_formed) {
        left = text.substr(0, blank);
        right = text.substr(blank + 1);
      }
    } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() &&
               entry[1].is_string()) {
      well_formed = true;
      left = entry[0].get_ref<const std::string&>();
      right = entry[1].get_ref<const std::string&>();
    }
    if (!well_formed) {
      fail("{}: entry {} of model.merges is {}; \"a b\" or [\"a\", \"b\"] is needed", origin_,
           index, entry.dump());
    }
    const std::pair<int64_t, int64_t> pair{merge_part(left, index), merge_part(right, index)};
    std::string joined(left);
    joined.append(right);
    const int64_t id = merge_part(joined, index);
    merges_.insert_or_assign(pair, Merge{rank++, id});
  }
}

std::optional<int64_t> BpeModel::token_to_id(std::string_view token) const {
  const auto found = vocabulary_.find(token);
  if (found == vocabulary_.end()) return std::nullopt;
  return found->second;
}

const BpeModel::Merge* BpeModel::find_merge(int64_t left, int64_t right) const {
  const auto found = merges_.find({left, right});
  return found == merges_.end() ? nullptr : &found->second;
}

std::vector<int64_t> BpeModel::first_symbols(std::string_view piece) const {
  std::vector<int64_t> symbols;
  symbols.reserve(piece.size());
  bool unknown_pending = false;
  const auto put_pending = [&] {
    if (unknown_pending) symbols.push_back(*unknown_id_);
    unknown_pending = false;
  };
  for (size_t at = 0; at < piece.size();) {
    const size_t size = utf8_step(piece, at).size;
    const std::string_view character = piece.substr(at, size);
    at += size;
    if (const auto id = token_to_id(character)) {
      put_pending();
      symbols.push_back(*id);
      continue;
    }
    const auto byte_id = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
    if (!byte_ids_.empty() && std::all_of(character.begin(), character.end(),
                                          [&](char byte) { return byte_id(byte) >= 0; })) {
      put_pending();
      for (const char byte : character) symbols.push_back(byte_id(byte));
      continue;
    }
    // Without an unknown token such a character leaves no trace, as in Hugging Face's tokenizers.
    if (!unknown_id_) continue;
    if (!fuse_unknown_) put_pending();
    unknown_pending = true;
  }
  put_pending();
  return symbols;
}

void BpeModel::merge_all(std::vector<int64_t>& ids) const {
  std::vector<Symbol> symbols(ids.size());
  const auto count = static_cast<int64_t>(ids.size());
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto offer = [&](int64_t position) {
    const int64_t next = symbols[position].next;
    const int64_t left = symbols[position].id;
    const int64_t right = symbols[next].id;
    if (const Merge* merge = find_merge(left, right)) {
      queue.push({merge->rank, position, left, right, merge->id});
    }
  };
  for (int64_t i = 0; i < count; ++i) {
    symbols[i] = {ids[i], i - 1, i + 1 < count ? i + 1 : -1, /*alive=*/true};
  }
  for (int64_t i = 0; i + 1 < count; ++i) offer(i);

  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.position];
    // An entry is stale when either side has meanwhile become part of another token.
    if (!left.alive || left.id != best.left || left.next < 0) continue;
    Symbol& right = symbols[left.next];
    if (right.id != best.right) continue;
    left.id = best.id;
    left.next = right.next;
    right.alive = false;
    if (left.next >= 0) symbols[left.next].previous = best.position;
    if (left.previous >= 0) offer(left.previous);
    if (left.next >= 0) offer(best.position);
  }
  ids.clear();
  for (int64_t i = 0; i >= 0 && i < count; i = symbols[i].next) ids.push_back(symbols[i].id);
}

void BpeModel::encode(std::string_view piece, std::vector<int64_t>& ids) const {
  if (piece.empty()) return;
  if (ignore_merges_) {
    if (const auto whole = token_to_id(piece)) {
      ids.push_back(*whole);
      return;
    }
  }
  const bool cached = piece.size() <= kCachedBytes;
  if (cached && cache_->find(piece, ids)) return;
  std::vector<int64_t> symbols = first_symbols(piece);
  merge_all(symbols);
  if (cached) cache_->put(piece, symbols);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

}  // namespace elastikv
