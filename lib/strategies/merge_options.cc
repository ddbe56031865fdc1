#include "strategies/merge_options.h"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "strategies/compaction.h"

namespace elastikv {

MergeOptions::MergeOptions(const Parameters& parameters)
    : share_(parameters.share("share", 0.5)),
      key_space_(parameters.choice("key_space", "rotated", {"rotated", "unrotated"}) == "rotated"
                     ? LayerPlan::KeySpace::kRotated
                     : LayerPlan::KeySpace::kUnrotated),
      count_bias_(parameters.flag("count_bias", false)) {
  const std::string weights =
      parameters.choice("weights", "uniform", {"uniform", "importance", "anchor_share"});
  weights_ = weights == "uniform"      ? Weights::kUniform
             : weights == "importance" ? Weights::kImportance
                                       : Weights::kAnchorShare;
}

std::vector<std::string> MergeOptions::names(std::vector<std::string> own) {
  for (const char* name : {"weights", "share", "key_space", "count_bias"}) own.emplace_back(name);
  return own;
}

LayerPlan MergeOptions::plan(const CompactionInput& input,
                             const std::vector<std::vector<int64_t>>& sources,
                             const std::vector<std::vector<int64_t>>& anchors) const {
  LayerPlan plan;
  plan.kept = padded_rows(input.kept);
  if (std::all_of(sources.begin(), sources.end(), [](const auto& row) { return row.empty(); })) {
    return plan;
  }
  plan.source = padded_rows(sources);
  plan.anchor = padded_rows(anchors);
  plan.key_space = key_space_;
  const auto groups = static_cast<int64_t>(sources.size());
  at::Tensor sizes = at::zeros({groups, plan.kept.size(1)}, at::kFloat);  // sources per anchor
  for (int64_t g = 0; g < groups; ++g) {
    float* size = sizes.data_ptr<float>() + g * sizes.size(1);
    for (const int64_t anchor : anchors[static_cast<size_t>(g)]) size[anchor] += 1.0F;
  }
  if (count_bias_) plan.logit_bias = sizes.log1p();
  if (weights_ == Weights::kUniform) return plan;
  plan.source_weight = at::ones({groups, plan.source.size(1)}, at::kFloat);
  if (weights_ == Weights::kAnchorShare) {
    // w / (w + n) = share. The whole share needs no sources at all; the limit keeps it finite.
    constexpr double kLargestShare = 1.0 - 1e-6;
    const double share = std::min(share_, kLargestShare);
    plan.anchor_weight = sizes * (share / (1.0 - share));
    // An anchor without sources is copied, but its weight must not be 0.
    plan.anchor_weight.masked_fill_(sizes == 0, 1.0);
    return plan;
  }
  plan.anchor_weight = at::ones({groups, plan.kept.size(1)}, at::kFloat);
  // Scores are shares of attention or norms: not negative where weighting by them makes sense.
  constexpr float kLeast = 1e-12F;
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t row = input.scores.size(0) == 1 ? 0 : g;
    const float* score = input.scores.const_data_ptr<float>() + row * input.tokens;
    const auto weigh = [&](const std::vector<int64_t>& slots, const at::Tensor& weights) {
      float* weight = weights.data_ptr<float>() + g * weights.size(1);
      for (const int64_t slot : slots) *weight++ = std::max(score[slot], kLeast);
    };
    weigh(sources[static_cast<size_t>(g)], plan.source_weight);
    weigh(input.kept[static_cast<size_t>(g)], plan.anchor_weight);
  }
  return plan;
}

std::string MergeOptions::description() const {
  std::string text = weights_ == Weights::kUniform      ? ",weights=uniform"
                     : weights_ == Weights::kImportance ? ",weights=importance"
                                                        : ",weights=anchor_share";
  if (weights_ == Weights::kAnchorShare) text += fmt::format(",share={}", share_);
  text +=
      key_space_ == LayerPlan::KeySpace::kRotated ? ",key_space=rotated" : ",key_space=unrotated";
  return text + (count_bias_ ? ",count_bias=true" : "");
}

}  // namespace elastikv
