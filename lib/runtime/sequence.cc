#include "runtime/sequence.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/stopwatch.h"

namespace elastikv {

Sequence::Sequence(const LanguageModel& model, const EncodedPrompt& prompt,
                   const Strategy& strategy, const Budget& budget)
    : rotary_(model.rotary()),
      strategy_(strategy),
      prompt_(prompt),
      budget_(budget),
      cache_(prompt.cache.fork()),
      // Nothing is ever given up without a limit, so true positions, cache lengths and ranks are
      // the same number; taking the true ones keeps every strategy equal to the full cache to the
      // last bit.
      positions_(budget.is_unlimited() ? PositionMode::kOriginal : strategy.positions()),
      tokens_seen_(prompt.statistics.prompt_tokens),
      requested_slots_(budget.slots(tokens_seen_, tokens_seen_)) {
  Stopwatch watch;
  plans_ = strategy.compress(prompt.statistics, budget);
  const int64_t layers = cache_.shape().layers;
  ELASTIKV_ASSERT(static_cast<int64_t>(plans_.size()) == layers, "{} plans for {} layers",
                  plans_.size(), layers);
  if (positions_ == PositionMode::kRerotated) model.unrotate_keys(cache_);
  for (int64_t i = 0; i < layers; ++i) cache_.apply(i, plans_[static_cast<size_t>(i)], rotary_);
  policy_ = strategy.begin_generation(prompt.statistics, plans_, budget);
  compression_seconds_ = watch.lap();
}

Sequence Sequence::restart() const {
  ELASTIKV_ASSERT(tokens_seen_ == prompt_.statistics.prompt_tokens,
                  "a sequence is restarted after {} tokens", tokens_seen_);
  return Sequence(*this, cache_.fork());
}

Sequence::Sequence(const Sequence& other, KVCache cache)
    : rotary_(other.rotary_),
      strategy_(other.strategy_),
      prompt_(other.prompt_),
      budget_(other.budget_),
      cache_(std::move(cache)),
      plans_(other.plans_),
      policy_(strategy_.begin_generation(prompt_.statistics, plans_, budget_)),
      positions_(other.positions_),
      tokens_seen_(other.tokens_seen_),
      requested_slots_(other.requested_slots_),
      compression_seconds_(other.compression_seconds_) {}

void Sequence::reserve(int64_t new_tokens) {
  int64_t extra = new_tokens;
  if (policy_ != nullptr) {
    // Heads begin with what they were given, whatever that is, and grow as the budget does.
    const int64_t prompt_tokens = prompt_.statistics.prompt_tokens;
    const int64_t growth = budget_.slots(tokens_seen_ + new_tokens, prompt_tokens) -
                           budget_.slots(tokens_seen_, prompt_tokens);
    extra = std::min(extra, growth + policy_->overshoot());
  }
  cache_.reserve(extra);
}

DecodeInput Sequence::next(int64_t token) {
  DecodeInput input;
  input.cache = &cache_;
  input.token = token;
  input.token_index = tokens_seen_;
  input.positions = positions_;
  input.weights = policy_ != nullptr && strategy_.needs().decode_rows;
  return input;
}

void Sequence::after_step(std::vector<at::Tensor> weights) {
  ++tokens_seen_;
  if (policy_ == nullptr) return;
  DecodeStep step;
  step.tokens_seen = tokens_seen_;
  step.cache = &cache_;
  step.rows = std::move(weights);
  const std::vector<StepPlan> plans = policy_->step(step);
  ELASTIKV_ASSERT(plans.empty() || static_cast<int64_t>(plans.size()) == cache_.shape().layers,
                  "{} step plans", plans.size());
  for (size_t i = 0; i < plans.size(); ++i)
    cache_.apply(static_cast<int64_t>(i), plans[i], rotary_);
}

at::Tensor decode_step(const LanguageModel& model, const std::vector<Sequence*>& sequences,
                       const std::vector<int64_t>& tokens) {
  ELASTIKV_ASSERT(sequences.size() == tokens.size(), "{} tokens for {} sequences", tokens.size(),
                  sequences.size());
  std::vector<DecodeInput> rows;
  rows.reserve(sequences.size());
  for (size_t i = 0; i < sequences.size(); ++i) rows.push_back(sequences[i]->next(tokens[i]));
  DecodeOutput output = model.decode(rows);
  for (size_t i = 0; i < sequences.size(); ++i)
    sequences[i]->after_step(std::move(output.weights[i]));
  return output.logits;
}

}  // namespace elastikv
