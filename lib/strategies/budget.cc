#include "strategies/budget.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/error.h"

namespace elastikv {

Budget Budget::unlimited() { return {}; }

Budget Budget::fraction(double keep, Growth growth) {
  if (!(keep > 0.0 && keep <= 1.0)) {
    fail("budget keep={} is out of range; a fraction kept above 0 and at most 1 is needed", keep);
  }
  Budget budget;
  budget.keep_ = keep;
  budget.growth_ = growth;
  return budget;
}

Budget Budget::tokens(int64_t keep_tokens) {
  if (keep_tokens < 1) {
    fail("budget keep_tokens={} is out of range; at least 1 is needed", keep_tokens);
  }
  Budget budget;
  budget.keep_tokens_ = keep_tokens;
  return budget;
}

Budget Budget::beside(int64_t kept_tokens) const {
  ELASTIKV_ASSERT(kept_tokens >= 0, "{} tokens beside a budget", kept_tokens);
  Budget budget = *this;
  budget.beside_.clear();
  if (kept_tokens > 0) budget.beside_.push_back({0, kept_tokens});
  return budget;
}

Budget Budget::beside_too(int64_t after, int64_t kept_tokens) const {
  const int64_t end = beside_.empty() ? 0 : beside_.back().begin + beside_.back().tokens;
  ELASTIKV_ASSERT(after >= end && kept_tokens >= 0, "{} tokens beside a budget, {} behind {}",
                  kept_tokens, after, end);
  Budget budget = *this;
  if (kept_tokens > 0) budget.beside_.push_back({after, kept_tokens});
  return budget;
}

int64_t Budget::seen_beside(int64_t tokens_seen, int64_t prompt_tokens) const {
  int64_t seen = 0;
  for (const Span& span : beside_)
    seen += std::clamp<int64_t>(tokens_seen - prompt_tokens - span.begin, 0, span.tokens);
  return seen;
}

int64_t Budget::slots(int64_t tokens_seen, int64_t prompt_tokens) const {
  ELASTIKV_ASSERT(tokens_seen >= 1 && prompt_tokens >= 1, "budget of {} tokens, prompt {}",
                  tokens_seen, prompt_tokens);
  if (is_unlimited()) return tokens_seen;
  const int64_t beside = seen_beside(tokens_seen, prompt_tokens);
  const int64_t counted = tokens_seen - beside;
  int64_t slots = keep_tokens_;
  if (is_fraction()) {
    const int64_t base = growth_ == Growth::kPrompt ? prompt_tokens : counted;
    constexpr double kSlack = 1e-9;
    slots = static_cast<int64_t>(std::floor(keep_ * static_cast<double>(base) + kSlack));
  }
  return std::clamp<int64_t>(slots, 1, counted) + beside;
}

double Budget::keep(int64_t tokens_seen) const {
  if (is_fraction()) return keep_;
  return std::min(1.0, static_cast<double>(keep_tokens_) / static_cast<double>(tokens_seen));
}

std::string Budget::name() const {
  if (is_unlimited()) return "full";
  if (!is_fraction()) return fmt::format("keep_tokens={}", keep_tokens_);
  return fmt::format("keep={}{}", keep_, growth_ == Growth::kPrompt ? ",growth=prompt" : "");
}

}  // namespace elastikv
