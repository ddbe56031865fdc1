#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/key_similarity.h"
#include "strategies/selection.h"

namespace elastikv {
namespace {

/// KVMerger's merging sets (arXiv 2407.08454, section 4.1): neighbours of similar keys form a run,
/// and of each run the entry with the largest score stays (of equals the earlier), its pivot. The
/// first `sinks` and the last `recent` (or `recent_share` of the slots, when that is more) stay
/// apart.
///
/// The paper cuts wherever the cosine of two neighbours falls below a threshold, and its budget
/// follows. Here the budget is given and the threshold follows: for n slots the n - 1 least similar
/// pairs are cut (of equals the earlier).
class RunsSelection final : public Selection {
 public:
  explicit RunsSelection(const WishedProtection& wish) : wish_(wish) {}

  bool needs_scores() const override { return true; }
  StatisticsRequest needs() const override {
    StatisticsRequest request;
    request.keys = true;
    return request;
  }

  Protected protect(int64_t slots) const override { return wish_.in(slots); }

  KeptSlots select(const SelectionInput& input) const override {
    KeptSlots kept;
    const int64_t groups = input.scores.size(0);
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t slots = input.slots_of(static_cast<size_t>(g));
      const Protected fitted = protect(slots);
      const int64_t last = input.tokens - fitted.recent;
      auto& row = kept.emplace_back();
      append_range(row, 0, fitted.sinks);
      const int64_t runs = slots - fitted.sinks - fitted.recent;
      if (runs > 0) {
        const at::Tensor keys =
            group_keys(input.layer->keys, groups, g).narrow(0, fitted.sinks, last - fitted.sinks);
        const float* scores = input.scores.const_data_ptr<float>() + g * input.tokens;
        int64_t begin = fitted.sinks;
        for (const int64_t cut : cuts(neighbour_cosines(keys), runs - 1)) {
          const int64_t end = fitted.sinks + cut;
          row.push_back(std::max_element(scores + begin, scores + end) - scores);
          begin = end;
        }
        row.push_back(std::max_element(scores + begin, scores + last) - scores);
      }
      append_range(row, last, input.tokens);
    }
    return kept;
  }

  std::string description() const override { return fmt::format("runs({})", wish_.description()); }

 private:
  /// Where runs begin, but for the first: after each of the `count` least similar pairs.
  static std::vector<int64_t> cuts(const std::vector<float>& cosines, int64_t count) {
    std::vector<int64_t> pairs(cosines.size());
    std::iota(pairs.begin(), pairs.end(), 0);
    std::nth_element(pairs.begin(), pairs.begin() + count, pairs.end(), [&](int64_t a, int64_t b) {
      const float left = cosines[static_cast<size_t>(a)];
      const float right = cosines[static_cast<size_t>(b)];
      return left < right || (left == right && a < b);
    });
    pairs.resize(static_cast<size_t>(count));
    std::sort(pairs.begin(), pairs.end());
    for (int64_t& pair : pairs) ++pair;
    return pairs;
  }

  WishedProtection wish_;
};

}  // namespace

std::shared_ptr<const Selection> make_runs_selection(const Parameters& parameters) {
  parameters.require_known(WishedProtection::names());
  return std::make_shared<RunsSelection>(WishedProtection::read(parameters));
}

}  // namespace elastikv
