#include "metrics/rouge_google.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "metrics/lcs.h"

namespace elastikv {
namespace {

WordText number_words(std::string_view text, RougeWords words, RougeSentences sentences,
                      WordIds& ids) {
  WordText result;
  for (const std::vector<std::string>& sentence : rouge_sentences(text, words, sentences)) {
    for (const std::string& word : sentence) result.words.push_back(ids(word));
    result.ends.push_back(result.words.size());
  }
  return result;
}

/// Any side may be 0: no overlap then, and nothing that could have.
TextScore score_of(size_t hits, size_t reference_count, size_t candidate_count) {
  const auto share = [hits](size_t count) {
    return static_cast<double>(hits) / static_cast<double>(std::max<size_t>(count, 1));
  };
  TextScore score{share(candidate_count), share(reference_count)};
  score.defined = reference_count > 0 && candidate_count > 0;
  const double sum = score.precision + score.recall;
  if (sum > 0) score.f = 2 * score.precision * score.recall / sum;
  return score;
}

}  // namespace

GoogleRouge::GoogleRouge(std::string_view reference, std::string_view candidate, RougeWords words,
                         RougeSentences sentences) {
  WordIds ids;
  reference_ = number_words(reference, words, sentences, ids);
  candidate_ = number_words(candidate, words, sentences, ids);
  distinct_words_ = ids.size();
}

TextScore GoogleRouge::rouge_n(int n) const {
  ELASTIKV_ASSERT(n >= 1 && n <= 9, "ROUGE-{} is not defined", n);
  NgramIds ids(n);
  const std::vector<int32_t> reference = ids(reference_.words);
  const std::vector<int32_t> candidate = ids(candidate_.words);
  std::unordered_map<int32_t, int64_t> unmatched;
  for (const int32_t gram : reference) ++unmatched[gram];
  size_t hits = 0;
  for (const int32_t gram : candidate) {
    const auto found = unmatched.find(gram);
    if (found == unmatched.end() || found->second == 0) continue;
    --found->second;
    ++hits;
  }
  return score_of(hits, reference.size(), candidate.size());
}

TextScore GoogleRouge::rouge_l() const {
  return score_of(lcs_length(reference_.words, candidate_.words), reference_.words.size(),
                  candidate_.words.size());
}

TextScore GoogleRouge::rouge_lsum() const {
  std::vector<int64_t> left_in_reference(static_cast<size_t>(distinct_words_));
  std::vector<int64_t> left_in_candidate(static_cast<size_t>(distinct_words_));
  for (const int32_t word : reference_.words) ++left_in_reference[static_cast<size_t>(word)];
  for (const int32_t word : candidate_.words) ++left_in_candidate[static_cast<size_t>(word)];

  size_t hits = 0;
  for (size_t r = 0; r < reference_.sentences(); ++r) {
    const auto line = reference_.sentence(r);
    std::vector<bool> in_union(line.size());
    for (size_t c = 0; c < candidate_.sentences(); ++c) {
      for (const size_t at : lcs_positions(line, candidate_.sentence(c), LcsTie::kDropReference))
        in_union[at] = true;
    }
    for (size_t at = 0; at < line.size(); ++at) {
      const auto word = static_cast<size_t>(line[at]);
      if (!in_union[at] || left_in_reference[word] == 0 || left_in_candidate[word] == 0) continue;
      --left_in_reference[word];
      --left_in_candidate[word];
      ++hits;
    }
  }
  return score_of(hits, reference_.words.size(), candidate_.words.size());
}

}  // namespace elastikv
