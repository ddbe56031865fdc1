#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace elastikv {

/// SplitMix64 (Steele et al., 2014).
class Draw {
 public:
  explicit Draw(uint64_t seed) : state_(seed) {}
  uint64_t below(uint64_t limit) {
    uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return (z ^ (z >> 31)) % limit;
  }

 private:
  uint64_t state_;
};

/// String `index` of tests/parity/make_random_text_golden.py, from its tables: words, characters of
/// many scripts, blanks, special tokens, control characters, bytes that are no UTF-8, marks, emoji,
/// and now and then thousands of letters or blanks.
std::string random_text(const nlohmann::json& tables, uint64_t index);

/// 64-bit FNV-1a.
class Fnv1a {
 public:
  void add(std::string_view bytes) {
    for (const char byte : bytes) {
      value_ = (value_ ^ static_cast<unsigned char>(byte)) * 0x100000001B3ULL;
    }
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xCBF29CE484222325ULL;
};

}  // namespace elastikv
