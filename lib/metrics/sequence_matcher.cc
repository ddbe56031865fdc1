#include "metrics/sequence_matcher.h"

#include <cstddef>
#include <unordered_map>
#include <utility>
#include <vector>

namespace elastikv {
namespace {

/// Pieces [begin, end) of both texts.
struct Pieces {
  size_t a_begin;
  size_t a_end;
  size_t b_begin;
  size_t b_end;
};

struct Block {
  size_t a;
  size_t b;
  size_t size = 0;
};

class Matcher {
 public:
  Matcher(const std::u32string& a, const std::u32string& b)
      : a_(a), b_(b), lengths_(b.size() + 1), next_(b.size() + 1) {
    constexpr size_t kLong = 200;
    for (size_t j = 0; j < b.size(); ++j) places_[b[j]].push_back(j);
    if (b.size() < kLong) return;
    const size_t most = b.size() / 100 + 1;
    std::erase_if(places_, [&](const auto& entry) { return entry.second.size() > most; });
  }

  /// Characters in the longest block, and in those that are found so on both sides of it.
  size_t matches() {
    size_t count = 0;
    std::vector<Pieces> left{{0, a_.size(), 0, b_.size()}};
    while (!left.empty()) {
      const Pieces pieces = left.back();
      left.pop_back();
      const Block block = longest(pieces);
      if (block.size == 0) continue;
      count += block.size;
      if (pieces.a_begin < block.a && pieces.b_begin < block.b)
        left.push_back({pieces.a_begin, block.a, pieces.b_begin, block.b});
      if (block.a + block.size < pieces.a_end && block.b + block.size < pieces.b_end)
        left.push_back({block.a + block.size, pieces.a_end, block.b + block.size, pieces.b_end});
    }
    return count;
  }

 private:
  /// The longest block of both pieces, of equals the first in a, then in b.
  Block longest(const Pieces& pieces) {
    Block best{pieces.a_begin, pieces.b_begin};
    std::vector<size_t> touched;  // places in lengths_ that are not 0: block ends before them
    for (size_t i = pieces.a_begin; i < pieces.a_end; ++i) {
      std::vector<size_t> touching;
      if (const auto found = places_.find(a_[i]); found != places_.end()) {
        for (const size_t j : found->second) {
          if (j < pieces.b_begin) continue;
          if (j >= pieces.b_end) break;
          const size_t size = lengths_[j] + 1;
          next_[j + 1] = size;
          touching.push_back(j + 1);
          if (size > best.size) best = {i + 1 - size, j + 1 - size, size};
        }
      }
      for (const size_t place : touched) lengths_[place] = 0;
      std::swap(lengths_, next_);
      touched = std::move(touching);
    }
    for (const size_t place : touched) lengths_[place] = 0;
    // Frequent characters begin no block, but belong to one.
    while (best.a > pieces.a_begin && best.b > pieces.b_begin && a_[best.a - 1] == b_[best.b - 1])
      best = {best.a - 1, best.b - 1, best.size + 1};
    while (best.a + best.size < pieces.a_end && best.b + best.size < pieces.b_end &&
           a_[best.a + best.size] == b_[best.b + best.size])
      ++best.size;
    return best;
  }

  const std::u32string& a_;
  const std::u32string& b_;
  std::unordered_map<char32_t, std::vector<size_t>> places_;  // in b
  std::vector<size_t> lengths_;  // at j: of the block that ends in a's last character and b[j - 1]
  std::vector<size_t> next_;
};

}  // namespace

double sequence_ratio(const std::u32string& a, const std::u32string& b) {
  const size_t length = a.size() + b.size();
  if (length == 0) return 1;
  return 2.0 * static_cast<double>(Matcher(a, b).matches()) / static_cast<double>(length);
}

}  // namespace elastikv
