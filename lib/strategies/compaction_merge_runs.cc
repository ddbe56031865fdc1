#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <fmt/format.h>

#include "strategies/compaction.h"
#include "strategies/components.h"
#include "strategies/key_similarity.h"
#include "strategies/merge_options.h"

namespace elastikv {
namespace {

/// KVMerger's merging (arXiv 2407.08454, section 4.2): the others of a run of neighbours join its
/// pivot p, weighing g_i = exp(-|k_p - k_i|^2 / (2 sigma^2)) against its 1, where sigma is the mean
/// of the distances |k_p - k_i| (the paper defines sigma by the g themselves, in a circle).
///
/// Between two kept, unprotected entries the runs part at the least similar pair of neighbours (of
/// equals the earlier): just where selection `runs` cut them, and a reading for any other
/// selection. Protected entries belong to no run.
class MergeRunsCompaction final : public Compaction {
 public:
  explicit MergeRunsCompaction(MergeOptions options) : options_(std::move(options)) {}

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
      const Protected protect = input.protect[static_cast<size_t>(g)];
      const AnchorRange range = anchor_range(kept, input.tokens, protect);
      Merges& here = merges.emplace_back();
      if (range.empty()) continue;
      const at::Tensor keys = group_keys(input.layer.keys, groups, g);
      const std::vector<float> cosines = neighbour_cosines(keys);
      int64_t begin = protect.sinks;
      for (int64_t a = range.first; a < range.last; ++a) {
        const int64_t pivot = kept[static_cast<size_t>(a)];
        int64_t end = input.tokens - protect.recent;
        if (a + 1 < range.last) {
          const auto pair = cosines.begin() + pivot;
          const auto next = cosines.begin() + kept[static_cast<size_t>(a + 1)];
          end = std::min_element(pair, next) - cosines.begin() + 1;
        }
        merge_run(keys, begin, end, pivot, a, here);
        begin = end;
      }
    }
    return options_.plan(input, std::move(merges));
  }

  std::string description() const override {
    // The options' text begins with a comma.
    return fmt::format("merge_runs({})", options_.description().substr(1));
  }

 private:
  /// Adds the merges of entries begin ... end - 1 into their pivot, the kept entry `anchor`.
  static void merge_run(const at::Tensor& keys, int64_t begin, int64_t end, int64_t pivot,
                        int64_t anchor, Merges& merges) {
    if (end - begin < 2) return;
    const at::Tensor distances = at::linalg_vector_norm(
        keys.narrow(0, begin, end - begin) - keys[pivot], /*ord=*/2, /*dim=*/{1});
    // The pivot's own distance, 0, adds nothing.
    const float sigma = distances.sum().item<float>() / static_cast<float>(end - begin - 1);
    for (int64_t slot = begin; slot < end; ++slot) {
      if (slot == pivot) continue;
      const float distance = distances.const_data_ptr<float>()[slot - begin];
      const float ratio = sigma > 0.0F ? distance / sigma : 0.0F;
      merges.source.push_back(slot);
      merges.anchor.push_back(anchor);
      merges.weight.push_back(std::exp(-0.5F * ratio * ratio));
    }
  }

  MergeOptions options_;
};

}  // namespace

std::shared_ptr<const Compaction> make_merge_runs_compaction(const Parameters& parameters) {
  parameters.require_known(MergeOptions::names({}));
  return std::make_shared<MergeRunsCompaction>(MergeOptions(parameters, "gaussian"));
}

}  // namespace elastikv
