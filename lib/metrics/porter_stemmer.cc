#include "metrics/porter_stemmer.h"

#include <array>
#include <span>
#include <utility>
#include <vector>

namespace elastikv {
namespace {

using Word = std::string_view;

constexpr std::array<std::pair<Word, Word>, 16> kIrregular{{
    {"sky", "sky"},
    {"skies", "sky"},
    {"dying", "die"},
    {"lying", "lie"},
    {"tying", "tie"},
    {"news", "news"},
    {"innings", "inning"},
    {"inning", "inning"},
    {"outings", "outing"},
    {"outing", "outing"},
    {"cannings", "canning"},
    {"canning", "canning"},
    {"howe", "howe"},
    {"proceed", "proceed"},
    {"exceed", "exceed"},
    {"succeed", "succeed"},
}};

bool is_plain_vowel(char letter) {
  return letter == 'a' || letter == 'e' || letter == 'i' || letter == 'o' || letter == 'u';
}

/// For every letter, whether it is a consonant in Porter's sense: y is one at the start and after a
/// vowel.
std::vector<bool> consonants(Word word) {
  std::vector<bool> flags(word.size());
  for (size_t i = 0; i < word.size(); ++i) {
    flags[i] = word[i] == 'y' ? (i == 0 || !flags[i - 1]) : !is_plain_vowel(word[i]);
  }
  return flags;
}

/// Porter's m: how often a vowel is followed by a consonant.
int measure(Word word) {
  const std::vector<bool> consonant = consonants(word);
  int count = 0;
  for (size_t i = 1; i < word.size(); ++i) count += !consonant[i - 1] && consonant[i] ? 1 : 0;
  return count;
}

/// Porter's *v*.
bool has_vowel(Word word) {
  for (const bool consonant : consonants(word)) {
    if (!consonant) return true;
  }
  return false;
}

bool ends_in_consonant(Word word) { return !word.empty() && consonants(word).back(); }

/// Porter's *d.
bool ends_in_double_consonant(Word word) {
  const size_t n = word.size();
  return n >= 2 && word[n - 1] == word[n - 2] && ends_in_consonant(word);
}

/// Porter's *o; NLTK also takes a vowel and a consonant that are the whole word.
bool ends_in_short_syllable(Word word) {
  const size_t n = word.size();
  const std::vector<bool> consonant = consonants(word);
  if (n == 2) return !consonant[0] && consonant[1];
  if (n < 3) return false;
  const char last = word[n - 1];
  return consonant[n - 3] && !consonant[n - 2] && consonant[n - 1] && last != 'w' && last != 'x' &&
         last != 'y';
}

std::string joined(Word stem, Word ending) { return std::string(stem).append(ending); }

Word without(Word word, size_t letters) { return word.substr(0, word.size() - letters); }

struct Rule {
  Word suffix;
  Word replacement;
};

/// The first rule whose suffix the word has decides, whether its stem is long enough or not.
std::string replace_if_measure_above(int least, Word word, std::span<const Rule> rules) {
  for (const Rule& rule : rules) {
    if (!word.ends_with(rule.suffix)) continue;
    const Word stem = without(word, rule.suffix.size());
    return measure(stem) > least ? joined(stem, rule.replacement) : std::string(word);
  }
  return std::string(word);
}

/// Plurals.
std::string step_1a(Word word) {
  if (word.ends_with("sses")) return std::string(without(word, 2));
  if (word.ends_with("ies")) return std::string(without(word, word.size() == 4 ? 1 : 2));
  if (word.ends_with("ss") || !word.ends_with("s")) return std::string(word);
  return std::string(without(word, 1));
}

/// Past tense and participle.
std::string step_1b(Word word) {
  if (word.ends_with("ied")) return std::string(without(word, word.size() == 4 ? 1 : 2));
  if (word.ends_with("eed"))
    return std::string(measure(without(word, 3)) > 0 ? without(word, 1) : word);
  Word stem;
  if (word.ends_with("ed")) stem = without(word, 2);
  if (word.ends_with("ing")) stem = without(word, 3);
  if (!has_vowel(stem)) return std::string(word);

  if (stem.ends_with("at") || stem.ends_with("bl") || stem.ends_with("iz"))
    return joined(stem, "e");
  if (ends_in_double_consonant(stem)) {
    const char last = stem.back();
    return std::string(last == 'l' || last == 's' || last == 'z' ? stem : without(stem, 1));
  }
  if (measure(stem) == 1 && ends_in_short_syllable(stem)) return joined(stem, "e");
  return std::string(stem);
}

std::string step_1c(Word word) {
  if (!word.ends_with("y")) return std::string(word);
  const Word stem = without(word, 1);
  return stem.size() > 1 && ends_in_consonant(stem) ? joined(stem, "i") : std::string(word);
}

std::string step_2(Word word) {
  static constexpr std::array<Rule, 21> kRules{{
      {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"},   {"anci", "ance"},
      {"izer", "ize"},    {"bli", "ble"},     {"alli", "al"},     {"entli", "ent"},
      {"eli", "e"},       {"ousli", "ous"},   {"ization", "ize"}, {"ation", "ate"},
      {"ator", "ate"},    {"alism", "al"},    {"iveness", "ive"}, {"fulness", "ful"},
      {"ousness", "ous"}, {"aliti", "al"},    {"iviti", "ive"},   {"biliti", "ble"},
      {"fulli", "ful"},
  }};
  // "ationalli" must still meet "ational", hence the second pass.
  if (word.ends_with("alli") && measure(without(word, 4)) > 0) return step_2(without(word, 2));
  // The l counts as part of the stem, so that "geo" and "theo" are long enough.
  if (word.ends_with("logi"))
    return std::string(measure(without(word, 3)) > 0 ? without(word, 1) : word);
  return replace_if_measure_above(0, word, kRules);
}

std::string step_3(Word word) {
  static constexpr std::array<Rule, 7> kRules{{{"icate", "ic"},
                                               {"ative", ""},
                                               {"alize", "al"},
                                               {"iciti", "ic"},
                                               {"ical", "ic"},
                                               {"ful", ""},
                                               {"ness", ""}}};
  return replace_if_measure_above(0, word, kRules);
}

std::string step_4(Word word) {
  static constexpr std::array<Rule, 18> kRules{{
      {"al", ""},
      {"ance", ""},
      {"ence", ""},
      {"er", ""},
      {"ic", ""},
      {"able", ""},
      {"ible", ""},
      {"ant", ""},
      {"ement", ""},
      {"ment", ""},
      {"ent", ""},
      {"ou", ""},
      {"ism", ""},
      {"ate", ""},
      {"iti", ""},
      {"ous", ""},
      {"ive", ""},
      {"ize", ""},
  }};
  if (word.ends_with("ion")) {
    const Word stem = without(word, 3);
    return std::string(measure(stem) > 1 && (stem.back() == 's' || stem.back() == 't') ? stem
                                                                                       : word);
  }
  return replace_if_measure_above(1, word, kRules);
}

std::string step_5(Word word) {
  std::string result(word);
  if (word.ends_with("e")) {
    const Word stem = without(word, 1);
    const int m = measure(stem);
    if (m > 1 || (m == 1 && !ends_in_short_syllable(stem))) result = stem;
  }
  if (result.ends_with("ll") && measure(without(result, 1)) > 1) result.pop_back();
  return result;
}

}  // namespace

std::string porter_stem(std::string_view word) {
  for (const auto& [form, stem] : kIrregular) {
    if (word == form) return std::string(stem);
  }
  if (word.size() <= 2) return std::string(word);
  return step_5(step_4(step_3(step_2(step_1c(step_1b(step_1a(word)))))));
}

}  // namespace elastikv
