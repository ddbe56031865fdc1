#include "datasets/haystack.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"

namespace elastikv {
namespace {

constexpr const char* kNoise =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";
constexpr std::string_view kSpace = " \t\r\n\v\f";
/// From which RULER draws where in a text needles stand.
constexpr size_t kDepths = 40;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (size_t at = text.find_first_not_of(kSpace); at != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kSpace, at), text.size());
    words.emplace_back(text.substr(at, end - at));
    at = text.find_first_not_of(kSpace, end);
  }
  return words;
}

}  // namespace

std::vector<std::string> sentences_of(std::string_view text) {
  constexpr std::string_view kEnds = ".!?";
  constexpr std::string_view kClosing = "\"')]";
  std::vector<std::string> sentences;
  size_t begin = text.find_first_not_of(kSpace);
  while (begin != std::string_view::npos) {
    size_t end = begin;
    while (true) {
      end = text.find_first_of(kEnds, end);
      if (end == std::string_view::npos) break;
      end = std::min(text.find_first_not_of(kEnds, end), text.size());
      end = std::min(text.find_first_not_of(kClosing, end), text.size());
      if (end == text.size() || kSpace.find(text[end]) != std::string_view::npos) break;
    }
    end = std::min(end, text.size());
    sentences.emplace_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kSpace, end);
  }
  return sentences;
}

Haystack::Haystack(std::string_view text) : words_(words_of(text)) {
  if (words_.empty()) fail("a text without words hides nothing");
}

std::vector<std::string> Haystack::sentences(size_t size) const {
  if (is_noise()) return std::vector<std::string>(size, kNoise);
  std::string text;
  for (size_t i = 0; i < size; ++i)
    text += fmt::format("{}{}", i == 0 ? "" : " ", words_[i % words_.size()]);
  return sentences_of(text);
}

std::string Haystack::around(const std::vector<std::string>& needles,
                             const std::vector<double>& depths, size_t size) const {
  ELASTIKV_ASSERT(needles.size() == depths.size(), "{} needles at {} depths", needles.size(),
                  depths.size());
  const std::vector<std::string> all = sentences(size);
  std::vector<std::string> pieces;
  size_t done = 0;
  for (size_t i = 0; i < needles.size(); ++i) {
    const auto place = std::min(
        static_cast<size_t>(static_cast<double>(all.size()) * depths[i] / 100), all.size());
    for (; done < place; ++done) pieces.push_back(all[done]);
    pieces.push_back(needles[i]);
  }
  pieces.insert(pieces.end(), all.begin() + static_cast<std::ptrdiff_t>(done), all.end());
  return joined(pieces);
}

std::string Haystack::around(const std::string& needle, double depth, size_t size) const {
  std::vector<std::string> all = sentences(size);
  double letters = 0;
  for (const std::string& sentence : all) letters += static_cast<double>(sentence.size());
  const double wanted = letters * depth / 100;
  double before = 0;
  size_t place = 0;
  // A sentence goes before the needle as long as that is nearer to where it is wanted.
  while (place < all.size() && before + static_cast<double>(all[place].size()) / 2 <= wanted)
    before += static_cast<double>(all[place++].size());
  all.insert(all.begin() + static_cast<std::ptrdiff_t>(place), needle);
  return joined(all);
}

std::string Haystack::joined(const std::vector<std::string>& sentences) const {
  return fmt::format("{}", fmt::join(sentences, is_noise() ? "\n" : " "));
}

std::vector<double> Haystack::draw_depths(size_t count, size_t size, Draws& draws) const {
  std::vector<double> depths;
  if (is_noise()) {
    // In the middle of a piece, which rounding does not leave.
    for (const size_t place : draws.places(size, count))
      depths.push_back(100 * (static_cast<double>(place) + 0.5) / static_cast<double>(size));
  } else {
    for (const size_t place : draws.places(kDepths, count))
      depths.push_back(std::nearbyint(100 * static_cast<double>(place) / (kDepths - 1)));
  }
  std::sort(depths.begin(), depths.end());
  return depths;
}

}  // namespace elastikv
