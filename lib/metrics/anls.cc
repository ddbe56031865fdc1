// "anls" and its kin: average normalised Levenshtein similarity.
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/characters.h"
#include "metrics/python_strings.h"
#include "metrics/text_families.h"

namespace elastikv {
namespace {

constexpr double kThreshold = 0.5;

size_t levenshtein_distance(const std::u32string& a, const std::u32string& b) {
  std::vector<size_t> row(a.size() + 1);
  for (size_t i = 0; i < row.size(); ++i) row[i] = i;
  for (size_t j = 0; j < b.size(); ++j) {
    size_t diagonal = row[0];
    row[0] = j + 1;
    for (size_t i = 0; i < a.size(); ++i) {
      const size_t above = row[i + 1];
      row[i + 1] = a[i] == b[j] ? diagonal : 1 + std::min({diagonal, above, row[i]});
      diagonal = above;
    }
  }
  return row.back();
}

/// len(text.upper()), which is what both published rules divide by.
size_t upper_length(std::string_view text) { return jinja::count_characters(jinja::upper(text)); }

/// Of the texts as they are compared, over the length of those that are measured.
double normalised_distance(const std::string& a, const std::string& b, std::string_view measured_a,
                           std::string_view measured_b) {
  const size_t length = std::max(upper_length(measured_a), upper_length(measured_b));
  if (length == 0) return 0;
  return static_cast<double>(levenshtein_distance(characters_of(a), characters_of(b))) /
         static_cast<double>(length);
}

/// The published definition: A. Biten et al., "Scene Text Visual Question Answering", 2019. A
/// distance of the threshold is too much, and lengths are those of the compared texts.
std::optional<double> published(std::string_view text, const Question& question) {
  const std::string said = lower_and_single_spaced(text);
  double best = 0;
  for (const std::string& reference : question.references) {
    const std::string answer = lower_and_single_spaced(reference);
    const double distance = normalised_distance(said, answer, said, answer);
    if (distance < kThreshold) best = std::max(best, 1 - distance);
  }
  return best;
}

/// lmms-eval's and VLMEvalKit's: a distance of the threshold is not too much, and lengths are those
/// of the texts before spaces were taken out.
std::optional<double> by_kits(std::string_view text, const Question& question) {
  const std::string said = lower_and_single_spaced(text);
  double least = 1;
  for (const std::string& reference : question.references) {
    const std::string answer = lower_and_single_spaced(reference);
    least = std::min(least, normalised_distance(said, answer, text, reference));
  }
  const double similarity = 1 - least;
  return similarity < kThreshold ? 0 : similarity;
}

AnswerRule anls_rule(const char* name, const char* label, const char* definition,
                     std::optional<double> (*score)(std::string_view, const Question&)) {
  return {.name = name,
          .label = label,
          .mean = "similarity",
          .definition = definition,
          .lacking = "",
          .score = score,
          .right_or_wrong = false};
}

}  // namespace

TextFamily anls() {
  return family_of(
      {anls_rule("anls", "ANLS", "type:anls|threshold:<0.5|length:compared", published),
       anls_rule("anls-lmms-eval", "ANLS (lmms-eval)", "type:anls|threshold:<=0.5|length:given",
                 by_kits)});
}

}  // namespace elastikv
