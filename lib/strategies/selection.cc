#include "strategies/selection.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "base/error.h"

namespace elastikv {

void append_range(std::vector<int64_t>& slots, int64_t first, int64_t last) {
  for (int64_t slot = first; slot < last; ++slot) slots.push_back(slot);
}

Protected fit_protection(int64_t sinks, int64_t recent, int64_t slots) {
  const int64_t last = std::min<int64_t>({recent, slots, 1});
  Protected fitted;
  fitted.sinks = std::min(sinks, slots - last);
  fitted.recent = std::min(recent, slots - fitted.sinks);
  return fitted;
}

WishedProtection WishedProtection::read(const Parameters& parameters) {
  WishedProtection wish;
  wish.sinks_ = parameters.integer("sinks", 1, /*least=*/0);
  wish.recent_ = parameters.integer("recent", 1, /*least=*/0);
  wish.recent_share_ = parameters.share("recent_share", 0.0);
  return wish;
}

std::vector<std::string> WishedProtection::names(std::vector<std::string> own) {
  own.insert(own.begin(), {"sinks", "recent", "recent_share"});
  return own;
}

Protected WishedProtection::in(int64_t slots) const {
  const auto share = static_cast<int64_t>(recent_share_ * static_cast<double>(slots));
  return fit_protection(sinks_, std::max(recent_, share), slots);
}

std::string WishedProtection::description() const {
  return fmt::format("sinks={},recent={},recent_share={}", sinks_, recent_, recent_share_);
}

std::vector<int64_t> best_slots(const float* scores, int64_t tokens, int64_t count,
                                Protected protect, int64_t last_begin, int64_t last_end) {
  ELASTIKV_ASSERT(protect.sinks + protect.recent <= count && count <= tokens,
                  "{} + {} protected of {} slots, {} tokens", protect.sinks, protect.recent, count,
                  tokens);
  std::vector<int64_t> candidates;
  append_range(candidates, protect.sinks, tokens - protect.recent);
  const int64_t wanted = count - protect.sinks - protect.recent;
  std::nth_element(candidates.begin(), candidates.begin() + wanted, candidates.end(),
                   [=](int64_t a, int64_t b) {
                     const bool a_last = a >= last_begin && a < last_end;
                     const bool b_last = b >= last_begin && b < last_end;
                     if (a_last != b_last) return b_last;
                     return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
                   });
  candidates.resize(static_cast<size_t>(wanted));
  std::sort(candidates.begin(), candidates.end());
  std::vector<int64_t> kept;
  kept.reserve(static_cast<size_t>(count));
  append_range(kept, 0, protect.sinks);
  kept.insert(kept.end(), candidates.begin(), candidates.end());
  append_range(kept, tokens - protect.recent, tokens);
  return kept;
}

}  // namespace elastikv
