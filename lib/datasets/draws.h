#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace elastikv {

/// Draws that are the same on every machine and with every compiler: std's distributions are not.
class Draws {
 public:
  explicit Draws(uint64_t seed) : random_(seed) {}

  uint64_t bits() { return random_(); }
  /// A number in 0..count - 1; count > 0.
  size_t below(size_t count) {
    // The high bits of a product: off by less than count / 2^64 for each number.
    return static_cast<size_t>((static_cast<unsigned __int128>(random_()) * count) >> 64);
  }
  template <typename T>
  const T& one_of(const std::vector<T>& things) {
    return things[below(things.size())];
  }
  char one_of(std::string_view letters) { return letters[below(letters.size())]; }
  std::string letters(std::string_view alphabet, size_t count) {
    std::string text;
    for (size_t i = 0; i < count; ++i) text += one_of(alphabet);
    return text;
  }
  template <typename T>
  void shuffle(std::vector<T>& things) {
    for (size_t i = things.size(); i > 1; --i) std::swap(things[i - 1], things[below(i)]);
  }
  /// So many different places in 0..size - 1, in the order they are drawn; size >= count.
  std::vector<size_t> places(size_t size, size_t count) {
    std::vector<size_t> all(size);
    for (size_t i = 0; i < size; ++i) all[i] = i;
    for (size_t i = 0; i < count; ++i) std::swap(all[i], all[i + below(size - i)]);
    all.resize(count);
    return all;
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace elastikv
