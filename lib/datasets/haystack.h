#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/draws.h"

namespace elastikv {

/// What needles are put into: RULER's five sentences again and again, or a text, from its beginning
/// and again from there where it is too short.
class Haystack {
 public:
  /// The five sentences.
  Haystack() = default;
  /// A text of at least one word. Error for one without.
  explicit Haystack(std::string_view text);

  bool is_noise() const { return words_.empty(); }

  /// `size` of its pieces (the five sentences; words) with needles between the sentences, in their
  /// order. `depths`: for each needle behind how many of the sentences it stands, in percent,
  /// ascending.
  std::string around(const std::vector<std::string>& needles, const std::vector<double>& depths,
                     size_t size) const;

  /// The same of one needle, at the end of a sentence that is nearest to so many percent of the
  /// letters.
  std::string around(const std::string& needle, double depth, size_t size) const;

  /// Depths as RULER draws them, ascending: between different pieces of noise, of which there are
  /// `size` >= count, and in a text those of a grid of 40.
  std::vector<double> draw_depths(size_t count, size_t size, Draws& draws) const;

 private:
  std::vector<std::string> sentences(size_t size) const;
  std::string joined(const std::vector<std::string>& sentences) const;

  std::vector<std::string> words_;
};

/// The sentences of a text: they end at . ! or ? (with what closes a quotation behind it) before
/// white space.
std::vector<std::string> sentences_of(std::string_view text);

}  // namespace elastikv
