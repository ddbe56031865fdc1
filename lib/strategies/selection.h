#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "strategies/component.h"
#include "strategies/parameters.h"

namespace elastikv {

/// first, first + 1, ..., last - 1 appended to `slots`.
void append_range(std::vector<int64_t>& slots, int64_t first, int64_t last);

/// Fits the wished protection into `slots`: the last entry goes first (a model that cannot see the
/// token it continues from answers nothing sensible), then the sinks, then the rest of the recent
/// entries.
Protected fit_protection(int64_t sinks, int64_t recent, int64_t slots);

/// What a preset wants protected of however many slots: the first `sinks`, and the last `recent` or
/// `recent_share` of the slots, whichever is more.
class WishedProtection {
 public:
  /// The parameters `sinks` (1), `recent` (1) and `recent_share` (0).
  static WishedProtection read(const Parameters& parameters);
  /// These, and those of the selection itself.
  static std::vector<std::string> names(std::vector<std::string> own = {});

  /// As far as it fits.
  Protected in(int64_t slots) const;
  /// "sinks=1,recent=1,recent_share=0".
  std::string description() const;

 private:
  int64_t sinks_ = 1;
  int64_t recent_ = 1;
  double recent_share_ = 0.0;
};

/// `count` slots of a row of scores [tokens]: the protected ones, and of the others those with the
/// largest scores (of equals the earlier), ascending. Those in [last_begin, last_end) come after
/// all others, whatever their scores.
std::vector<int64_t> best_slots(const float* scores, int64_t tokens, int64_t count,
                                Protected protect, int64_t last_begin = 0, int64_t last_end = 0);

}  // namespace elastikv
