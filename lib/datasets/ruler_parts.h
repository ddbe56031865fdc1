#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "datasets/haystack.h"
#include "datasets/made_rows.h"
#include "datasets/ruler_tasks.h"

namespace elastikv {

// The kinds of RULER's tasks, each in a file of its own. `task` is what a row is called.

/// What needles are hidden in.
enum class NeedleHaystack { kNoise, kText, kNeedles };
/// What a needle's key and its value are.
enum class NeedleKind { kNumbers, kWords, kUuids };

struct NeedleTask {
  NeedleHaystack haystack = NeedleHaystack::kNoise;
  NeedleKind key = NeedleKind::kWords;
  NeedleKind value = NeedleKind::kNumbers;
  size_t keys = 1;
  size_t values = 1;   ///< of each key
  size_t queries = 1;  ///< keys that are asked for
};

MadeRow make_needles(const std::string& task, const NeedleTask& needles, const Haystack& text,
                     const MadeTarget& target, uint64_t seed);
/// One needle at this depth in percent.
MadeRow make_needle_at(const std::string& task, const Haystack& haystack, double depth,
                       const MadeTarget& target, uint64_t seed);
/// A chain of variables in noise, behind an example.
MadeRow make_variables(const std::string& task, const MadeTarget& target, uint64_t seed);
/// The ten words that are in a list most often, behind an example.
MadeRow make_common_words(const std::string& task, const MadeTarget& target, uint64_t seed);
/// The three made-up words that are in a text most often.
MadeRow make_frequent_words(const std::string& task, const MadeTarget& target, uint64_t seed);
/// Question `number` (they go round) about documents among others.
MadeRow make_question(const std::string& task, const DocumentQuestions& questions, size_t number,
                      const MadeTarget& target, uint64_t seed);

}  // namespace elastikv
