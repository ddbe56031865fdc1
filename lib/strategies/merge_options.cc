#include "strategies/merge_options.h"

#include <algorithm>

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "base/error.h"

namespace elastikv {
namespace {

std::vector<std::string> known_weights(const std::string& own) {
  std::vector<std::string> known{"uniform", "importance", "anchor_share", "pivot"};
  if (!own.empty()) known.push_back(own);
  return known;
}

std::vector<float> scores_at(const float* scores, const std::vector<int64_t>& slots) {
  std::vector<float> picked;
  picked.reserve(slots.size());
  for (const int64_t slot : slots) picked.push_back(scores[slot]);
  return picked;
}

}  // namespace

MergeOptions::MergeOptions(const Parameters& parameters, const std::string& own)
    : weights_(
          parameters.choice("weights", own.empty() ? "uniform" : own.c_str(), known_weights(own))),
      share_(parameters.share("share", 0.5)),
      key_space_(parameters.choice("key_space", "rotated", {"rotated", "unrotated"}) == "rotated"
                     ? LayerPlan::KeySpace::kRotated
                     : LayerPlan::KeySpace::kUnrotated),
      count_bias_(parameters.flag("count_bias", false)) {}

std::vector<std::string> MergeOptions::names(std::vector<std::string> own) {
  for (const char* name : {"weights", "share", "key_space", "count_bias"}) own.emplace_back(name);
  return own;
}

MergeOptions::Weights MergeOptions::weigh(const Merges& merges, size_t kept,
                                          const std::vector<float>& source_scores,
                                          const std::vector<float>& anchor_scores) const {
  Weights weights{.source = std::vector<float>(merges.source.size(), 1.0F),
                  .anchor = std::vector<float>(kept, 1.0F)};
  if (weights_ == "anchor_share") {
    // w / (w + n) = share. The whole share needs no sources at all; the limit keeps it finite.
    constexpr double kLargestShare = 1.0 - 1e-6;
    const double share = std::min(share_, kLargestShare);
    const auto per_source = static_cast<float>(share / (1.0 - share));
    // An anchor without sources is copied, but its weight must not be 0.
    for (const int64_t a : merges.anchor) weights.anchor[static_cast<size_t>(a)] = 0.0F;
    for (const int64_t a : merges.anchor) weights.anchor[static_cast<size_t>(a)] += per_source;
  } else if (weights_ == "pivot") {
    weights.source.assign(merges.source.size(), 0.5F);
    for (const int64_t a : merges.anchor) weights.anchor[static_cast<size_t>(a)] += 0.5F;
  } else if (weights_ == "importance" && !anchor_scores.empty()) {
    // Scores are shares of attention or norms: not negative where weighting by them makes sense.
    const auto at_least = [](float score) { return std::max(score, 1e-12F); };
    std::transform(source_scores.begin(), source_scores.end(), weights.source.begin(), at_least);
    std::transform(anchor_scores.begin(), anchor_scores.end(), weights.anchor.begin(), at_least);
  } else if (weights_ != "uniform" && weights_ != "importance") {
    ELASTIKV_ASSERT(merges.weight.size() == merges.source.size(), "{} weights for {} merges",
                    merges.weight.size(), merges.source.size());
    weights.source = merges.weight;
  }
  return weights;
}

LayerPlan MergeOptions::plan(const CompactionInput& input, std::vector<Merges> merges) const {
  LayerPlan plan = merge_plan(input.kept, merges);
  if (!plan.source.defined()) return plan;
  plan.source_weight = at::Tensor();
  plan.key_space = key_space_;
  const auto groups = static_cast<int64_t>(merges.size());
  if (count_bias_) {
    at::Tensor sizes = at::zeros({groups, plan.kept.size(1)}, at::kFloat);  // sources per anchor
    for (int64_t g = 0; g < groups; ++g) {
      float* size = sizes.data_ptr<float>() + g * sizes.size(1);
      for (const int64_t anchor : merges[static_cast<size_t>(g)].anchor) size[anchor] += 1.0F;
    }
    plan.logit_bias = sizes.log1p();
  }
  if (weights_ == "uniform") return plan;
  plan.source_weight = at::ones({groups, plan.source.size(1)}, at::kFloat);
  plan.anchor_weight = at::ones({groups, plan.kept.size(1)}, at::kFloat);
  for (int64_t g = 0; g < groups; ++g) {
    const Merges& group = merges[static_cast<size_t>(g)];
    const std::vector<int64_t>& kept = input.kept[static_cast<size_t>(g)];
    std::vector<float> source_scores;
    std::vector<float> anchor_scores;
    if (needs_scores()) {
      const int64_t row = input.scores.size(0) == 1 ? 0 : g;
      const float* scores = input.scores.const_data_ptr<float>() + row * input.tokens;
      source_scores = scores_at(scores, group.source);
      anchor_scores = scores_at(scores, kept);
    }
    const Weights weights = weigh(group, kept.size(), source_scores, anchor_scores);
    std::copy(weights.source.begin(), weights.source.end(),
              plan.source_weight.data_ptr<float>() + g * plan.source.size(1));
    std::copy(weights.anchor.begin(), weights.anchor.end(),
              plan.anchor_weight.data_ptr<float>() + g * plan.kept.size(1));
  }
  return plan;
}

std::string MergeOptions::description() const {
  std::string text = fmt::format(",weights={}", weights_);
  if (weights_ == "anchor_share") text += fmt::format(",share={}", share_);
  text +=
      key_space_ == LayerPlan::KeySpace::kRotated ? ",key_space=rotated" : ",key_space=unrotated";
  return text + (count_bias_ ? ",count_bias=true" : "");
}

}  // namespace elastikv
