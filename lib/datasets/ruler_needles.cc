#include <algorithm>
#include <limits>
#include <unordered_set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "datasets/ruler_parts.h"
#include "datasets/ruler_words.h"

namespace elastikv {
namespace {

constexpr int64_t kNeedleTokens = 128;
constexpr size_t kMostPieces = std::numeric_limits<int32_t>::max();

std::string plural_of(NeedleKind kind) {
  switch (kind) {
    case NeedleKind::kNumbers:
      return "numbers";
    case NeedleKind::kWords:
      return "words";
    case NeedleKind::kUuids:
      return "uuids";
  }
  throw InternalError("a needle of no kind");
}

/// A random UUID of version 4.
std::string draw_uuid(Draws& draws) {
  const uint64_t high = (draws.bits() & ~uint64_t{0xF000}) | 0x4000;
  const uint64_t low = (draws.bits() & ~(uint64_t{3} << 62)) | (uint64_t{2} << 62);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xFFFF,
                     high & 0xFFFF, low >> 48, low & 0xFFFFFFFFFFFF);
}

/// One that was not drawn before.
std::string draw_new(NeedleKind kind, Draws& draws, std::unordered_set<std::string>& drawn) {
  while (true) {
    std::string thing;
    switch (kind) {
      case NeedleKind::kNumbers:
        thing = std::to_string(1'000'000 + draws.below(9'000'000));
        break;
      case NeedleKind::kWords:
        thing = draw_compound(draws);
        break;
      case NeedleKind::kUuids:
        thing = draw_uuid(draws);
        break;
    }
    if (drawn.insert(thing).second) return thing;
  }
}

std::string needle_of(NeedleKind value_kind, const std::string& key, const std::string& value) {
  return fmt::format("One of the special magic {} for {} is: {}.", plural_of(value_kind), key,
                     value);
}

/// What stands around a haystack: in the singular where one value is asked for.
void write_around(const std::string& context, NeedleKind kind, bool one, const std::string& query,
                  MadeRow& row) {
  std::string things = plural_of(kind);
  if (one) things.pop_back();
  row.context = fmt::format(
      "{} special magic {} {} hidden within the following text. Make sure to memorize it. I will "
      "quiz you about the {} afterwards.\n{}\n",
      one ? "A" : "Some", things, one ? "is" : "are", things, context);
  row.question = fmt::format("What {} the special magic {} for {} mentioned in the provided text?",
                             one ? "is" : "are all", things, query);
  row.answer_prefix = fmt::format(" The special magic {} for {} mentioned in the provided text {}",
                                  things, query, one ? "is" : "are");
  row.max_new_tokens = kNeedleTokens;
}

/// "a, b, and c", as RULER joins what it asks for.
std::string joined(const std::vector<std::string>& keys) {
  if (keys.size() == 1) return keys.front();
  const std::vector<std::string> most(keys.begin(), keys.end() - 1);
  return fmt::format("{}, and {}", fmt::join(most, ", "), keys.back());
}

/// Needles among needles that nobody asks for.
std::string among_needles(const NeedleTask& task, const std::vector<std::string>& needles,
                          size_t size, Draws& draws, std::unordered_set<std::string>& drawn) {
  std::vector<std::string> all;
  for (size_t i = 0; i < size; ++i) {
    const std::string key = draw_new(task.key, draws, drawn);
    all.push_back(needle_of(task.value, key, draw_new(task.value, draws, drawn)));
  }
  std::vector<size_t> places = draws.places(size, needles.size());
  std::sort(places.rbegin(), places.rend());
  for (size_t i = 0; i < needles.size(); ++i)
    all.insert(all.begin() + static_cast<std::ptrdiff_t>(places[i]), needles[i]);
  return fmt::format("{}", fmt::join(all, "\n"));
}

MadeRow needles_of_size(const std::string& name, const NeedleTask& task, const Haystack& text,
                        uint64_t seed, size_t size) {
  Draws draws(seed);
  std::unordered_set<std::string> drawn;
  std::vector<std::string> keys;
  std::vector<std::vector<std::string>> values;
  std::vector<std::string> needles;
  for (size_t k = 0; k < task.keys; ++k) {
    keys.push_back(draw_new(task.key, draws, drawn));
    values.emplace_back();
    for (size_t v = 0; v < task.values; ++v) {
      values.back().push_back(draw_new(task.value, draws, drawn));
      needles.push_back(needle_of(task.value, keys.back(), values.back().back()));
    }
  }
  draws.shuffle(needles);
  MadeRow row{.task = name};
  std::vector<std::string> asked;
  for (const size_t place : draws.places(keys.size(), task.queries)) {
    asked.push_back(keys[place]);
    row.answers.insert(row.answers.end(), values[place].begin(), values[place].end());
  }
  std::string context;
  if (task.haystack == NeedleHaystack::kNeedles) {
    context = among_needles(task, needles, size, draws, drawn);
  } else {
    const Haystack noise;
    const Haystack& haystack = task.haystack == NeedleHaystack::kNoise ? noise : text;
    context = haystack.around(needles, haystack.draw_depths(needles.size(), size, draws), size);
  }
  write_around(context, task.value, row.answers.size() == 1, joined(asked), row);
  return row;
}

}  // namespace

MadeRow make_needles(const std::string& task, const NeedleTask& needles, const Haystack& text,
                     const MadeTarget& target, uint64_t seed) {
  return largest_row([&](size_t size) { return needles_of_size(task, needles, text, seed, size); },
                     target,
                     /*least=*/needles.keys * needles.values, kMostPieces);
}

MadeRow make_needle_at(const std::string& task, const Haystack& haystack, double depth,
                       const MadeTarget& target, uint64_t seed) {
  Draws draws(seed);
  std::unordered_set<std::string> drawn;
  const std::string key = draw_new(NeedleKind::kWords, draws, drawn);
  const std::string value = draw_new(NeedleKind::kNumbers, draws, drawn);
  const std::string needle = needle_of(NeedleKind::kNumbers, key, value);
  const auto make = [&](size_t size) {
    MadeRow row{.task = task};
    row.answers = {value};
    write_around(haystack.around(needle, depth, size), NeedleKind::kNumbers, /*one=*/true, key,
                 row);
    return row;
  };
  return largest_row(make, target, /*least=*/1, kMostPieces);
}

}  // namespace elastikv
