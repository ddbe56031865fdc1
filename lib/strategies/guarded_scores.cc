#include <numeric>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/utf8.h"
#include "kernels/finite.h"
#include "strategies/plugin_guards.h"
#include "strategies/statistics_copy.h"

namespace elastikv {
namespace {

/// Slots are shared out as they should be: each part between 1 and `most`, together `total`.
void require_shares(const PluginCall& call, const std::vector<int64_t>& slots, size_t parts,
                    std::string_view part, int64_t most, int64_t total) {
  if (slots.size() != parts)
    call.refuse(fmt::format("gives slots to {} {}s, there are {}", slots.size(), part, parts));
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i] >= 1 && slots[i] <= most) continue;
    call.refuse(
        fmt::format("gives {} {} {} slots, from 1 to {} are possible", part, i, slots[i], most));
  }
  const int64_t sum = std::accumulate(slots.begin(), slots.end(), int64_t{0});
  if (sum != total)
    call.refuse(
        fmt::format("gives {} slots to all {}s together, {} are to be given", sum, part, total));
}

class GuardedImportance final : public Importance {
 public:
  GuardedImportance(std::shared_ptr<const Importance> inner, PluginCall call)
      : inner_(std::move(inner)), call_(std::move(call)) {
    needs_ = call_.run([&] { return inner_->needs(); });
    granularity_ = call_.run([&] { return inner_->granularity(); });
    accumulation_ = call_.run([&] { return inner_->accumulation(); });
    description_ = call_.run([&] { return inner_->description(); });
  }

  StatisticsRequest needs() const override { return needs_; }
  Granularity granularity() const override { return granularity_; }
  Accumulation accumulation() const override { return accumulation_; }
  std::string description() const override { return description_; }

  std::vector<at::Tensor> scores(const PromptStatistics& prompt) const override {
    const PromptStatistics copy = copy_of(prompt, needs_);
    std::vector<at::Tensor> scores = call_.run([&] { return inner_->scores(copy); });
    require_unchanged(call_, copy, prompt);
    if (scores.size() != prompt.layers.size()) {
      call_.refuse(fmt::format("gives scores of {} layers, the model has {}", scores.size(),
                               prompt.layers.size()));
    }
    const std::vector<int64_t> sizes{groups_of(granularity_, prompt.kv_heads),
                                     prompt.prompt_tokens};
    for (size_t layer = 0; layer < scores.size(); ++layer) check(layer, sizes, scores[layer]);
    return scores;
  }

 private:
  /// What every reader of scores relies on; makes them contiguous.
  void check(size_t layer, const std::vector<int64_t>& sizes, at::Tensor& scores) const {
    const auto refuse = [&](const std::string& problem) {
      call_.refuse(fmt::format("layer {}: {}", layer, problem));
    };
    if (!scores.defined()) refuse("gives no scores");
    if (scores.sizes() != c10::IntArrayRef(sizes)) {
      refuse(fmt::format("gives scores of shape [{}], [{}] is needed (granularity {})",
                         fmt::join(scores.sizes(), ", "), fmt::join(sizes, ", "),
                         granularity_name(granularity_)));
    }
    if (scores.scalar_type() != at::kFloat)
      refuse(fmt::format("gives scores of type {}, Float is needed",
                         c10::toString(scores.scalar_type())));
    if (!scores.is_cpu())
      refuse(fmt::format("gives scores on {}, they are needed on the CPU", scores.device().str()));
    if (scores.layout() != at::kStrided) refuse("gives sparse scores, dense ones are needed");
    scores = scores.contiguous();
    if (!all_finite(scores)) refuse("gives scores that are not finite (nan or inf)");
  }

  std::shared_ptr<const Importance> inner_;
  PluginCall call_;
  StatisticsRequest needs_;
  Granularity granularity_{};
  Accumulation accumulation_{};
  std::string description_;
};

class GuardedAllocation final : public Allocation {
 public:
  GuardedAllocation(std::shared_ptr<const Allocation> inner, PluginCall call)
      : inner_(std::move(inner)), call_(std::move(call)) {
    needs_ = call_.run([&] { return inner_->needs(); });
    description_ = call_.run([&] { return inner_->description(); });
  }

  StatisticsRequest needs() const override { return needs_; }
  std::string description() const override { return description_; }

  std::vector<int64_t> slots_per_layer(const PromptStatistics& prompt,
                                       int64_t total) const override {
    const PromptStatistics copy = copy_of(prompt, needs_);
    std::vector<int64_t> slots = call_.run([&] { return inner_->slots_per_layer(copy, total); });
    require_unchanged(call_, copy, prompt);
    require_shares(call_, slots, prompt.layers.size(), "layer", prompt.prompt_tokens, total);
    return slots;
  }

 private:
  std::shared_ptr<const Allocation> inner_;
  PluginCall call_;
  StatisticsRequest needs_;
  std::string description_;
};

class GuardedHeads final : public HeadAllocation {
 public:
  GuardedHeads(std::shared_ptr<const HeadAllocation> inner, PluginCall call)
      : inner_(std::move(inner)), call_(std::move(call)) {
    description_ = call_.run([&] { return inner_->description(); });
  }

  std::string description() const override { return description_; }

  std::vector<int64_t> slots_per_head(const at::Tensor& scores, int64_t slots,
                                      Protected protect) const override {
    const at::Tensor copy = scores.clone();
    std::vector<int64_t> shares =
        call_.run([&] { return inner_->slots_per_head(copy, slots, protect); });
    require_unchanged(call_, copy, scores);
    require_shares(call_, shares, static_cast<size_t>(scores.size(0)), "head", scores.size(1),
                   scores.size(0) * slots);
    return shares;
  }

 private:
  std::shared_ptr<const HeadAllocation> inner_;
  PluginCall call_;
  std::string description_;
};

}  // namespace

std::string PluginCall::failure(std::string_view text) {
  constexpr size_t kLongest = 500;
  text = text.substr(0, text.find_first_of("\r\n"));
  return "fails: " + replace_broken_utf8(text.substr(0, kLongest));
}

std::shared_ptr<const Importance> guarded(std::shared_ptr<const Importance> inner,
                                          PluginCall call) {
  return std::make_shared<GuardedImportance>(std::move(inner), std::move(call));
}
std::shared_ptr<const Allocation> guarded(std::shared_ptr<const Allocation> inner,
                                          PluginCall call) {
  return std::make_shared<GuardedAllocation>(std::move(inner), std::move(call));
}
std::shared_ptr<const HeadAllocation> guarded(std::shared_ptr<const HeadAllocation> inner,
                                              PluginCall call) {
  return std::make_shared<GuardedHeads>(std::move(inner), std::move(call));
}

}  // namespace elastikv
