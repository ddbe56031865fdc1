#include "metrics/rouge_pltrdy.h"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "metrics/lcs.h"

namespace elastikv {
namespace {

/// Length in bytes of the white space that `text` begins with, one character of what Python's
/// str.split() takes for white space; 0 when it begins with none.
size_t space_at_start(std::string_view text) {
  static constexpr std::array<std::string_view, 19> kWideSpaces{
      "\u0085", "\u00A0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
      "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200A",
      "\u2028", "\u2029", "\u202F", "\u205F", "\u3000"};
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80)
    return first == ' ' || (first >= 9 && first <= 13) || (first >= 28 && first <= 31);
  for (const std::string_view space : kWideSpaces) {
    if (text.starts_with(space)) return space.size();
  }
  return 0;
}

WordText number_words(std::string_view text, WordIds& ids) {
  WordText result;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t dot = std::min(text.find('.', begin), text.size());
    std::string_view piece = text.substr(begin, dot - begin);
    begin = dot + 1;
    if (piece.empty()) continue;
    const size_t words_before = result.words.size();
    while (!piece.empty()) {
      size_t length = 0;
      while (length < piece.size() && space_at_start(piece.substr(length)) == 0) ++length;
      if (length > 0) result.words.push_back(ids(piece.substr(0, length)));
      piece.remove_prefix(length);
      if (!piece.empty()) piece.remove_prefix(space_at_start(piece));
    }
    if (result.words.size() == words_before) result.words.push_back(ids(""));
    result.ends.push_back(result.words.size());
  }
  return result;
}

TextScore score_of(size_t hits, size_t reference_count, size_t candidate_count) {
  const auto share = [hits](size_t count) {
    return count == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(count);
  };
  TextScore score{share(candidate_count), share(reference_count)};
  score.defined = reference_count > 0 && candidate_count > 0;
  score.f = 2.0 * ((score.precision * score.recall) / (score.precision + score.recall + 1e-8));
  return score;
}

std::unordered_set<int32_t> distinct(const std::vector<int32_t>& words) {
  return {words.begin(), words.end()};
}

constexpr TextScore kUndefined{.defined = false};

}  // namespace

PltrdyRouge::PltrdyRouge(std::string_view reference, std::string_view candidate, EmptyText empty) {
  WordIds ids;
  reference_ = number_words(reference, ids);
  candidate_ = number_words(candidate, ids);
  if (empty == EmptyText::kError && !defined()) {
    fail("the {} text is empty or holds only full stops, where rouge 1.0.1 gives no score",
         candidate_.sentences() == 0 ? "candidate" : "reference");
  }
}

TextScore PltrdyRouge::rouge_n(int n) const {
  ELASTIKV_ASSERT(n >= 1 && n <= 5, "rouge-{} is not defined", n);
  if (!defined()) return kUndefined;
  NgramIds ids(n);
  const std::unordered_set<int32_t> reference = distinct(ids(reference_.words));
  const std::unordered_set<int32_t> candidate = distinct(ids(candidate_.words));
  const auto hits = std::count_if(candidate.begin(), candidate.end(),
                                  [&](int32_t gram) { return reference.contains(gram); });
  return score_of(static_cast<size_t>(hits), reference.size(), candidate.size());
}

TextScore PltrdyRouge::rouge_l() const {
  if (!defined()) return kUndefined;
  // The package adds up how much the union grows with each reference sentence: its final size.
  std::unordered_set<int32_t> found;
  for (size_t r = 0; r < reference_.sentences(); ++r) {
    const auto sentence = reference_.sentence(r);
    for (size_t c = 0; c < candidate_.sentences(); ++c) {
      for (const size_t at :
           lcs_positions(sentence, candidate_.sentence(c), LcsTie::kDropCandidate))
        found.insert(sentence[at]);
    }
  }
  return score_of(found.size(), distinct(reference_.words).size(),
                  distinct(candidate_.words).size());
}

}  // namespace elastikv
