#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/argmin.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/minimum.h>
#include <fmt/format.h>

#include "strategies/compaction.h"
#include "strategies/components.h"
#include "strategies/key_similarity.h"
#include "strategies/merge_options.h"

namespace elastikv {
namespace {

/// Lloyd's rounds; entries of a few hundred settle in fewer.
constexpr int64_t kRounds = 10;

at::Tensor squared_lengths(const at::Tensor& rows) { return rows.mul(rows).sum(1); }

/// The clustering of Elastic Cache's Table 3 (arXiv 2407.18121): entries that do not stay are
/// clustered by their keys around `centres` centres, and each cluster joins the kept, unprotected
/// entry whose key has the largest cosine with the cluster's centre.
///
/// The paper says no more than "10 centres, by key"; the rest is our reading. k-means by Euclidean
/// distance: the first entry and then, again and again, the entry farthest from all centres so far
/// are the start, ten of Lloyd's rounds follow, and a centre left without entries stays where it
/// is. What is kept is what plain eviction keeps, so that two strategies that differ here differ in
/// merging alone.
class MergeClustersCompaction final : public Compaction {
 public:
  MergeClustersCompaction(int64_t centres, MergeOptions options)
      : centres_(centres), options_(std::move(options)) {}

  StatisticsRequest needs() const override {
    StatisticsRequest request;
    request.keys = true;
    return request;
  }
  bool needs_scores() const override { return options_.needs_scores(); }
  bool merges_unrotated_keys() const override { return options_.merges_unrotated_keys(); }

  LayerPlan plan(const CompactionInput& input) const override {
    std::vector<Merges> merges;
    const auto groups = static_cast<int64_t>(input.kept.size());
    for (int64_t g = 0; g < groups; ++g) {
      const auto& kept = input.kept[static_cast<size_t>(g)];
      const AnchorRange range =
          anchor_range(kept, input.tokens, input.protect[static_cast<size_t>(g)]);
      Merges& here = merges.emplace_back();
      const std::vector<int64_t> dropped = dropped_slots(kept, input.tokens);
      if (range.empty() || dropped.empty()) continue;
      const at::Tensor keys = group_keys(input.layer.keys, groups, g);
      const at::Tensor entries = rows_at(keys, dropped);
      at::Tensor centres = farthest_points(entries);
      at::Tensor assigned;
      for (int64_t round = 0; round < kRounds; ++round) {
        // |x - c|^2 without |x|^2, which is the same for all centres.
        assigned = at::argmin(squared_lengths(centres) - at::matmul(entries, centres.t()).mul(2.0),
                              /*dim=*/1);
        for (int64_t c = 0; c < centres.size(0); ++c) {
          const at::Tensor members = assigned.eq(c).nonzero().flatten();
          if (members.numel() > 0) centres[c].copy_(entries.index_select(0, members).mean(0));
        }
      }
      const MostSimilar nearest = most_similar(
          centres, rows_at(keys, {kept.begin() + range.first, kept.begin() + range.last}));
      here.source = dropped;
      for (size_t i = 0; i < dropped.size(); ++i) {
        const auto cluster = static_cast<size_t>(assigned.const_data_ptr<int64_t>()[i]);
        here.anchor.push_back(range.first + nearest.target[cluster]);
      }
    }
    return options_.plan(input, std::move(merges));
  }

  std::string description() const override {
    return fmt::format("merge_clusters(centres={}{})", centres_, options_.description());
  }

 private:
  /// f32 [at most `centres`, width] of entries [n, width]; fewer when no others differ.
  at::Tensor farthest_points(const at::Tensor& entries) const {
    std::vector<int64_t> chosen{0};
    at::Tensor distances = squared_lengths(entries - entries[0]);
    while (static_cast<int64_t>(chosen.size()) < centres_) {
      const int64_t farthest = at::argmax(distances).item<int64_t>();
      if (!(distances[farthest].item<float>() > 0.0F)) break;
      chosen.push_back(farthest);
      distances = at::minimum(distances, squared_lengths(entries - entries[farthest]));
    }
    return rows_at(entries, chosen);
  }

  int64_t centres_;
  MergeOptions options_;
};

}  // namespace

std::shared_ptr<const Compaction> make_merge_clusters_compaction(const Parameters& parameters) {
  parameters.require_known(MergeOptions::names({"centres"}));
  return std::make_shared<MergeClustersCompaction>(parameters.integer("centres", 10, /*least=*/1),
                                                   MergeOptions(parameters));
}

}  // namespace elastikv
