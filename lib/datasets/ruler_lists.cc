// RULER's lists of words: common ones among others, and frequent ones in a coded text.
#include <algorithm>
#include <limits>
#include <numbers>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "datasets/ruler_parts.h"
#include "datasets/ruler_words.h"

namespace elastikv {
namespace {

constexpr size_t kCommonWords = 10;
constexpr int64_t kCommonTokens = 120;
constexpr int64_t kFrequentTokens = 50;
constexpr size_t kMostWords = std::numeric_limits<int32_t>::max();

std::string numbered(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i)
    text += fmt::format("{}{}. {}", i == 0 ? "" : " ", i + 1, words[i]);
  return text;
}

/// A list of different words, the first ten of which are there `often` times and the others
/// `seldom` times.
MadeRow word_list(size_t different, size_t often, size_t seldom, Draws& draws) {
  const std::vector<std::string> words = draw_words(different, draws);
  std::vector<std::string> list;
  for (size_t i = 0; i < words.size(); ++i)
    list.insert(list.end(), i < kCommonWords ? often : seldom, words[i]);
  draws.shuffle(list);
  MadeRow row;
  row.context = fmt::format(
      "Below is a numbered list of words. In these words, some appear more often than others. "
      "Memorize the ones that appear most often.\n{}\n",
      numbered(list));
  row.question = "Question: What are the 10 most common words in the above list?";
  row.answer_prefix = " Answer: The top 10 words that appear most often in the list are:";
  row.answers.assign(words.begin(), words.begin() + kCommonWords);
  row.max_new_tokens = kCommonTokens;
  return row;
}

/// How often the word of rank `rank` is in a text of so many words: Zipf's law with exponent 2.
size_t frequency(size_t words, size_t rank) {
  constexpr double kZeta = std::numbers::pi * std::numbers::pi / 6;
  return static_cast<size_t>(static_cast<double>(words) /
                             (static_cast<double>(rank * rank) * kZeta));
}

/// Different words of six letters; the most frequent stands for noise.
std::vector<std::string> coded_words(size_t count, Draws& draws) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
  std::vector<std::string> words{"..."};
  std::unordered_set<std::string> drawn;
  while (words.size() < count) {
    std::string word = draws.letters(kLetters, 6);
    if (drawn.insert(word).second) words.push_back(std::move(word));
  }
  return words;
}

}  // namespace

MadeRow make_common_words(const std::string& task, const MadeTarget& target, uint64_t seed) {
  constexpr int64_t kLong = 4096;
  const bool is_long = target.length >= kLong;
  return largest_row(
      [&](size_t size) {
        Draws draws(seed);
        const MadeRow example = is_long ? word_list(40, 10, 3, draws) : word_list(20, 3, 1, draws);
        MadeRow row = is_long ? word_list(size, 30, 3, draws) : word_list(size, 6, 1, draws);
        row.task = task;
        row.context =
            fmt::format("{} {}\n{}", example.text(), numbered(example.answers), row.context);
        return row;
      },
      target, /*least=*/kCommonWords + 2, kMostWords);
}

MadeRow make_frequent_words(const std::string& task, const MadeTarget& target, uint64_t seed) {
  constexpr size_t kAsked = 3;
  // Behind the noise and those that are asked for there has to be one more.
  const int64_t vocabulary =
      std::max<int64_t>((target.length - target.room - kFrequentTokens) / 50, kAsked + 2);
  // So many words give the three and the one behind them frequencies that differ.
  size_t least = 1;
  const auto differ = [](size_t words) {
    for (size_t rank = 2; rank <= kAsked + 1; ++rank) {
      if (frequency(words, rank) <= frequency(words, rank + 1)) return false;
    }
    return true;
  };
  while (!differ(least)) ++least;
  return largest_row(
      [&](size_t size) {
        // A few sizes above the least have equal ones again, as counts are whole numbers.
        while (!differ(size)) --size;
        Draws draws(seed);
        const std::vector<std::string> words = coded_words(static_cast<size_t>(vocabulary), draws);
        std::vector<std::string> list;
        for (size_t i = 0; i < words.size(); ++i)
          list.insert(list.end(), frequency(size, i + 1), words[i]);
        draws.shuffle(list);
        MadeRow row{.task = task};
        row.context = fmt::format(
            "Read the following coded text and track the frequency of each coded word. Find the "
            "three most frequently appeared coded words. {}\n",
            fmt::join(list, " "));
        row.question =
            "Question: Do not provide any explanation. Please ignore the dots '....'. What are the "
            "three most frequently appeared words in the above coded text?";
        row.answer_prefix =
            " Answer: According to the coded text above, the three most frequently appeared words "
            "are:";
        row.answers.assign(words.begin() + 1, words.begin() + 1 + kAsked);
        row.max_new_tokens = kFrequentTokens;
        return row;
      },
      target, least, kMostWords);
}

}  // namespace elastikv
