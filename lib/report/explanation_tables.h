#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cache/cache_shape.h"
#include "report/explanation.h"
#include "report/table.h"
#include "strategies/statistics.h"

namespace elastikv {

/// What strategies were asked about.
struct ExplainedPrompt {
  std::string model;   ///< the checkpoint's folder
  std::string budget;  ///< Budget::name
  std::string sample;  ///< id, of a data set; empty: a prompt of its own
  std::vector<int64_t> ids;
  std::vector<int64_t> layers;  ///< that are explained
  CacheShape shape;
  const PromptStatistics& statistics;
};

/// For people: kept entries and the attention that the others had, a row per strategy.
Table lost_table(const std::vector<Explanation>& explanations);
/// For programs: the same per layer and KV head, and of all heads of a layer together.
Table lost_details(const std::vector<Explanation>& explanations);

/// For people: kept_agreement over the explained layers as a matrix.
Table agreement_table(const std::vector<Explanation>& explanations);
/// For programs: a row per layer and pair of strategies, then their means.
Table agreement_details(const std::vector<Explanation>& explanations);

/// One JSON object on one line with every kept and merged position.
std::string explanations_json(const ExplainedPrompt& prompt,
                              const std::vector<Explanation>& explanations);

}  // namespace elastikv
