#include <limits>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "datasets/ruler_parts.h"

namespace elastikv {
namespace {

constexpr size_t kHops = 4;
constexpr int64_t kVariableTokens = 30;
constexpr std::string_view kCapitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// So many different names.
std::vector<std::string> draw_names(size_t letters, Draws& draws) {
  std::vector<std::string> names;
  std::unordered_set<std::string> drawn;
  while (names.size() < kHops + 1) {
    std::string name = draws.letters(kCapitals, letters);
    if (drawn.insert(name).second) names.push_back(std::move(name));
  }
  return names;
}

/// The first gets the value, each of the others that of the one before it.
MadeRow chain_in_noise(size_t letters, size_t size, Draws& draws) {
  const std::vector<std::string> names = draw_names(letters, draws);
  const std::string value = std::to_string(10'000 + draws.below(89'999));
  std::vector<std::string> chain{fmt::format("VAR {} = {}", names[0], value)};
  for (size_t i = 1; i < names.size(); ++i)
    chain.push_back(fmt::format("VAR {} = VAR {} ", names[i], names[i - 1]));
  const Haystack noise;
  const std::string context =
      noise.around(chain, noise.draw_depths(chain.size(), size, draws), size);
  MadeRow row;
  row.context = fmt::format(
      "Memorize and track the chain(s) of variable assignment hidden in the following "
      "text.\n\n{}\n",
      context);
  row.question = fmt::format(
      "Question: Find all variables that are assigned the value {} in the text above.", value);
  row.answer_prefix = fmt::format(
      " Answer: According to the chain(s) of variable assignment in the text above, {} variables "
      "are assigned the value {}, they are: ",
      names.size(), value);
  row.answers = names;
  row.max_new_tokens = kVariableTokens;
  return row;
}

}  // namespace

MadeRow make_variables(const std::string& task, const MadeTarget& target, uint64_t seed) {
  // RULER's example has names of three letters and at most so many tokens.
  MadeTarget of_example = target;
  of_example.length = 500;
  of_example.room = -kVariableTokens;
  const MadeRow example = largest_row(
      [&](size_t size) {
        Draws draws(seed + 1);
        MadeRow row = chain_in_noise(/*letters=*/3, size, draws);
        row.task = task;
        return row;
      },
      of_example, /*least=*/5, std::numeric_limits<int32_t>::max());
  const std::string shown =
      fmt::format("{} {}\n\n", example.text(), fmt::join(example.answers, " "));
  return largest_row(
      [&](size_t size) {
        Draws draws(seed);
        MadeRow row = chain_in_noise(/*letters=*/5, size, draws);
        row.task = task;
        row.context = shown + row.context;
        return row;
      },
      target, /*least=*/kHops + 1, std::numeric_limits<int32_t>::max());
}

}  // namespace elastikv
