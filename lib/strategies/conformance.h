#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "strategies/composition.h"

namespace elastikv {

/// What all strategies promise, looked at over made-up prompts of many lengths and budgets.
struct ConformanceCheck {
  std::string name;     ///< what is promised: "budget 1.0 changes nothing"
  int64_t cases = 0;    ///< how many prompts, budgets or steps were looked at
  int64_t broken = 0;   ///< and in how many of them the promise was not kept
  std::string finding;  ///< the first of those, in a sentence that begins with the case
  std::string skipped;  ///< why the check does not apply; empty: it does
};

/// Composes the strategy anew: some promises are of strategies that have seen nothing.
using MakeComposition = std::function<Composition()>;

struct ConformanceOptions {
  std::vector<int64_t> prompt_tokens{1, 2, 5, 30, 181};
  std::vector<double> budgets{0.01, 0.05, 0.2, 0.37, 0.5, 0.8, 0.99};
  int64_t steps = 24;  ///< tokens that are decoded
};

/// Looks at all promises; whatever the strategy throws breaks the one that was looked at. Error for
/// a strategy that cannot compress any of the prompts.
std::vector<ConformanceCheck> check_conformance(const MakeComposition& make,
                                                const ConformanceOptions& options = {});

/// Whether all promises are kept.
bool conforms(const std::vector<ConformanceCheck>& checks);

}  // namespace elastikv
