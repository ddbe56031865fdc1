#include "strategies/merge_limits.h"

#include <cstdlib>

#include <fmt/format.h>

#include "strategies/key_similarity.h"

namespace elastikv {
namespace {

constexpr double kAnyCosine = -1.0;

/// Marks the merges whose rows of `states` [kv_heads, tokens, head_dim] are less alike.
void drop_unlike(const at::Tensor& states, double least, const CompactionInput& input, size_t group,
                 const Merges& merges, std::vector<bool>& stays) {
  if (least <= kAnyCosine) return;
  const at::Tensor rows =
      group_keys(states, static_cast<int64_t>(input.kept.size()), static_cast<int64_t>(group));
  std::vector<int64_t> anchors;
  anchors.reserve(merges.anchor.size());
  for (const int64_t anchor : merges.anchor)
    anchors.push_back(input.kept[group][static_cast<size_t>(anchor)]);
  const std::vector<float> cosines =
      row_cosines(rows_at(rows, merges.source), rows_at(rows, anchors));
  for (size_t i = 0; i < stays.size(); ++i) stays[i] = stays[i] && cosines[i] >= least;
}

}  // namespace

MergeLimits::MergeLimits(const Parameters& parameters)
    : first_layer_(parameters.integer("first_layer", 0, /*least=*/0)),
      last_layer_(parameters.integer("last_layer", -1, /*least=*/-1)),
      within_(parameters.integer("within", 0, /*least=*/0)),
      key_cosine_(parameters.number("key_cosine", kAnyCosine, -1.0, 1.0)),
      value_cosine_(parameters.number("value_cosine", kAnyCosine, -1.0, 1.0)) {}

std::vector<std::string> MergeLimits::names(std::vector<std::string> own) {
  for (const char* name : {"first_layer", "last_layer", "within", "key_cosine", "value_cosine"})
    own.emplace_back(name);
  return own;
}

StatisticsRequest MergeLimits::needs() const {
  StatisticsRequest request;
  request.keys = key_cosine_ > kAnyCosine;
  request.values = value_cosine_ > kAnyCosine;
  return request;
}

Merges MergeLimits::limited(const CompactionInput& input, size_t group, Merges merges) const {
  if (input.layer_index < first_layer_ || (last_layer_ >= 0 && input.layer_index > last_layer_))
    return {};
  if (merges.source.empty()) return merges;
  std::vector<bool> stays(merges.source.size(), true);
  if (within_ > 0) {
    for (size_t i = 0; i < stays.size(); ++i) {
      const int64_t anchor = input.kept[group][static_cast<size_t>(merges.anchor[i])];
      stays[i] = std::abs(anchor - merges.source[i]) <= within_;
    }
  }
  drop_unlike(input.layer.keys, key_cosine_, input, group, merges, stays);
  drop_unlike(input.layer.values, value_cosine_, input, group, merges, stays);
  Merges left;
  for (size_t i = 0; i < stays.size(); ++i) {
    if (!stays[i]) continue;
    left.source.push_back(merges.source[i]);
    left.anchor.push_back(merges.anchor[i]);
    if (!merges.weight.empty()) left.weight.push_back(merges.weight[i]);
  }
  return left;
}

std::string MergeLimits::description() const {
  std::string text;
  if (first_layer_ > 0) text += fmt::format(",first_layer={}", first_layer_);
  if (last_layer_ >= 0) text += fmt::format(",last_layer={}", last_layer_);
  if (within_ > 0) text += fmt::format(",within={}", within_);
  if (key_cosine_ > kAnyCosine) text += fmt::format(",key_cosine={}", key_cosine_);
  if (value_cosine_ > kAnyCosine) text += fmt::format(",value_cosine={}", value_cosine_);
  return text;
}

}  // namespace elastikv
