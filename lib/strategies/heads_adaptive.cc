#include <algorithm>
#include <functional>
#include <vector>

#include <fmt/format.h>

#include "strategies/allocation.h"
#include "strategies/components.h"

namespace elastikv {
namespace {

/// Heads compete for the slots of their layer (AdaKV, arXiv 2407.11550): a head is given as many as
/// it has entries among the layer's largest scores, protected ones set aside, and `safeguard` of
/// an even share. `rule: mix` (the paper's): safeguard x even + (1 - safeguard) x competition.
/// `rule: floor`: at least int(safeguard x slots), protected entries counted, the rest by
/// competition.
class AdaptiveHeads final : public HeadAllocation {
 public:
  AdaptiveHeads(double safeguard, bool mix) : safeguard_(safeguard), mix_(mix) {}

  std::vector<int64_t> slots_per_head(const at::Tensor& scores, int64_t slots,
                                      Protected protect) const override {
    const int64_t heads = scores.size(0);
    const int64_t tokens = scores.size(1);
    const int64_t guarded = protect.sinks + protect.recent;
    const int64_t open = tokens - guarded;  // entries of a head that compete
    // A head without protected entries still holds one.
    const int64_t least = guarded > 0 ? 0 : 1;
    const auto safe = static_cast<int64_t>(safeguard_ * static_cast<double>(slots));
    const int64_t floor = mix_ ? 0 : std::max(least, safe - guarded);
    std::vector<int64_t> won = competition(scores, protect, heads * (slots - guarded), floor);
    if (mix_) {
      std::vector<double> wishes;
      wishes.reserve(won.size());
      for (const int64_t entries : won) {
        wishes.push_back(safeguard_ * static_cast<double>(slots - guarded) +
                         (1.0 - safeguard_) * static_cast<double>(entries));
      }
      won = apportion(wishes, heads * (slots - guarded), least, open);
    }
    for (int64_t& entries : won) entries += guarded;
    return won;
  }

  std::string description() const override {
    return fmt::format("adaptive(safeguard={},rule={})", safeguard_, mix_ ? "mix" : "floor");
  }

 private:
  /// Of the layer's `total` best entries, those of each head, at least `floor`.
  static std::vector<int64_t> competition(const at::Tensor& scores, Protected protect,
                                          int64_t total, int64_t floor) {
    const int64_t heads = scores.size(0);
    const int64_t tokens = scores.size(1);
    struct Entry {
      float score;
      int64_t head;
    };
    std::vector<Entry> entries;
    for (int64_t head = 0; head < heads; ++head) {
      const float* score = scores.const_data_ptr<float>() + head * tokens;
      std::vector<float> own(score + protect.sinks, score + tokens - protect.recent);
      std::sort(own.begin(), own.end(), std::greater<>());
      // The floor's entries are a head's best, and are taken before the competition.
      for (size_t i = static_cast<size_t>(floor); i < own.size(); ++i) {
        entries.push_back({own[i], head});
      }
    }
    std::vector<int64_t> won(static_cast<size_t>(heads), floor);
    const auto left = static_cast<std::ptrdiff_t>(total - floor * heads);
    std::partial_sort(entries.begin(), entries.begin() + left, entries.end(),
                      [](const Entry& a, const Entry& b) {
                        return a.score > b.score || (a.score == b.score && a.head < b.head);
                      });
    for (std::ptrdiff_t i = 0; i < left; ++i) ++won[static_cast<size_t>(entries[i].head)];
    return won;
  }

  double safeguard_;
  bool mix_;
};

}  // namespace

std::shared_ptr<const HeadAllocation> make_adaptive_heads(const Parameters& parameters) {
  parameters.require_known({"safeguard", "rule"});
  return std::make_shared<AdaptiveHeads>(
      parameters.share("safeguard", 0.2),
      parameters.choice("rule", "mix", {"mix", "floor"}) == "mix");
}

}  // namespace elastikv
