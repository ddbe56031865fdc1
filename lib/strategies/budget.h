#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace elastikv {

/// How many slots a cache may hold. Computed here for all strategies, so that "20 %" means the same
/// for each.
class Budget {
 public:
  enum class Growth {
    kGeneration,  ///< the fraction applies to all tokens seen so far, so the cache grows while
                  ///< generating (the paper's)
    kPrompt,      ///< the fraction applies to the prompt, so the cache stays that large
  };

  /// No limit: every strategy is then the full cache, to the last bit.
  static Budget unlimited();
  /// Fraction kept, 0 < keep <= 1; 1 is unlimited. Error outside (NaN too).
  static Budget fraction(double keep, Growth growth = Growth::kGeneration);
  /// A fixed number of slots, at least 1. Error below.
  static Budget tokens(int64_t keep_tokens);

  /// The same budget of a prompt that so many tokens follow which take nothing of it: their entries
  /// come on top, and a fraction does not count them among the tokens that it is of.
  Budget beside(int64_t kept_tokens) const;
  /// The same of a sequence that goes on: so many more tokens come on top, behind the first `after`
  /// that follow the prompt. Spans are added in their order.
  Budget beside_too(int64_t after, int64_t kept_tokens) const;
  /// How many tokens beside it there are once `tokens_seen` were seen.
  int64_t seen_beside(int64_t tokens_seen, int64_t prompt_tokens) const;

  bool is_unlimited() const { return keep_ >= 1.0 && keep_tokens_ == 0; }
  /// Slots allowed in a layer after `tokens_seen` tokens of a sequence whose prompt had
  /// `prompt_tokens`: at least 1, at most tokens_seen. Fractions round down, with 1e-9 of slack for
  /// products such as 0.7 * 30.
  int64_t slots(int64_t tokens_seen, int64_t prompt_tokens) const;
  /// The fraction kept; for keep_tokens its share of `tokens_seen`. Released code computes with
  /// this number itself.
  double keep(int64_t tokens_seen) const;
  /// Whether this is a fraction rather than a fixed number of slots.
  bool is_fraction() const { return keep_tokens_ == 0; }
  Growth growth() const { return growth_; }

  /// "full", "keep=0.2", "keep=0.2,growth=prompt" or "keep_tokens=256": part of a record's key.
  std::string name() const;

 private:
  double keep_ = 1.0;
  int64_t keep_tokens_ = 0;
  /// Tokens on top, counted from the prompt's end.
  struct Span {
    int64_t begin;
    int64_t tokens;
  };
  std::vector<Span> beside_;
  Growth growth_ = Growth::kGeneration;
};

}  // namespace elastikv
