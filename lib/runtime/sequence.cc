#include "runtime/sequence.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <utility>

#include <ATen/Parallel.h>
#include <ATen/ops/argmax.h>

#include "base/device_stopwatch.h"
#include "base/error.h"
#include "kernels/transfer.h"
#include "runtime/non_finite.h"
#include "strategies/eviction_policy.h"
#include "strategies/finite.h"

namespace elastikv {

Sequence::Sequence(const LanguageModel& model, const EncodedPrompt& prompt,
                   const Strategy& strategy, const Budget& budget, LateTokens late)
    : rotary_(model.rotary(prompt.cache)),
      strategy_(strategy),
      prompt_(prompt),
      late_(std::move(late)),
      begins_late_(!late_.ids.empty()),
      answer_logits_(prompt.logits),
      budget_(late_.kept ? budget.beside(std::ssize(late_.ids)) : budget),
      cache_(prompt.cache.fork()),
      // Nothing is ever evicted without a limit, so true positions, cache lengths and ranks are
      // the same number; taking the true ones keeps every strategy equal to the full cache to the
      // last bit.
      positions_(budget.is_unlimited() ? PositionMode::kOriginal : strategy.positions()),
      tokens_seen_(prompt.statistics.prompt_tokens),
      fork_at_(tokens_seen_),
      requested_slots_(budget.slots(tokens_seen_, tokens_seen_)) {
  if (!budget.is_unlimited()) require_finite(strategy.needs(), prompt.non_finite);
  DeviceStopwatch watch(cache_.shape().device);
  plans_ = strategy.compress(prompt.statistics, budget_);
  const int64_t layers = cache_.shape().layers;
  ELASTIKV_ASSERT(static_cast<int64_t>(plans_.size()) == layers, "{} plans for {} layers",
                  plans_.size(), layers);
  if (positions_ == PositionMode::kRerotated) model.unrotate_keys(cache_);
  const auto apply = [this](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) cache_.apply(i, plans_[static_cast<size_t>(i)], rotary_);
  };
  if (cache_.shape().device.is_cpu()) {
    at::parallel_for(0, layers, /*grain_size=*/1, apply);  // layers share nothing
  } else {
    apply(0, layers);
  }
  policy_ = strategy.begin_generation(prompt.statistics, plans_, budget_);
  compression_seconds_ = watch.lap();
}

std::unique_ptr<GenerationPolicy> Sequence::policy_from_here() const {
  if (policy_ == nullptr) return nullptr;
  std::unique_ptr<GenerationPolicy> policy = policy_->go_on(budget_);
  if (policy == nullptr)
    fail("its generation policy cannot go on from one turn of a conversation to the next");
  return policy;
}

void Sequence::go_on(LateTokens late) {
  ELASTIKV_ASSERT(late_.ids.empty(), "{} late tokens were not run", late_.ids.size());
  const int64_t prompt_tokens = prompt_.statistics.prompt_tokens;
  if (late.kept) budget_ = budget_.beside_too(tokens_seen_ - prompt_tokens, std::ssize(late.ids));
  // It learns of the budget, and has not seen what was foreseen.
  policy_ = policy_from_here();
  late_ = std::move(late);
  begins_late_ = begins_late_ || !late_.ids.empty();
  fork_at_ = tokens_seen_;
  lifetimes_.clear();
  foreseen_ = false;
  went_on_ = true;
}

void Sequence::evict_nothing() {
  ELASTIKV_ASSERT(tokens_seen_ == prompt_.statistics.prompt_tokens && !foreseen_,
                  "a sequence that has run {} tokens",
                  tokens_seen_ - prompt_.statistics.prompt_tokens);
  policy_.reset();
  went_on_ = true;  // a restart would begin with a policy
}

Sequence Sequence::branch() const { return Sequence(*this, policy_from_here()); }

Sequence::Sequence(const Sequence& other, std::unique_ptr<GenerationPolicy> policy)
    : rotary_(other.rotary_),
      strategy_(other.strategy_),
      prompt_(other.prompt_),
      late_(other.late_),
      begins_late_(other.begins_late_),
      answer_logits_(other.answer_logits_),
      budget_(other.budget_),
      cache_(other.cache_.fork()),
      plans_(other.plans_),
      policy_(std::move(policy)),
      went_on_(true),
      positions_(other.positions_),
      tokens_seen_(other.tokens_seen_),
      fork_at_(other.tokens_seen_),
      requested_slots_(other.requested_slots_),
      compression_seconds_(other.compression_seconds_),
      failure_(other.failure_) {}

Sequence Sequence::restart() const {
  if (went_on_) return branch();
  ELASTIKV_ASSERT(tokens_seen_ == fork_at_, "a sequence is restarted after {} tokens, not {}",
                  tokens_seen_, fork_at_);
  return Sequence(*this, prompt_, late_, budget_, cache_.fork());
}

Sequence Sequence::ask(const EncodedPrompt& prompt, LateTokens late) const {
  const int64_t prompt_tokens = prompt.statistics.prompt_tokens;
  ELASTIKV_ASSERT(tokens_seen_ == prompt_tokens, "a sequence is asked after {} of {} tokens",
                  tokens_seen_, prompt_tokens);
  const Budget budget = budget_.beside(late.kept ? std::ssize(late.ids) : 0);
  return Sequence(*this, prompt, std::move(late), budget, cache_.fork());
}

Sequence::Sequence(const Sequence& other, const EncodedPrompt& prompt, LateTokens late,
                   const Budget& budget, KVCache cache)
    : rotary_(other.rotary_),
      strategy_(other.strategy_),
      prompt_(prompt),
      late_(std::move(late)),
      begins_late_(other.begins_late_ || !late_.ids.empty()),
      answer_logits_(other.answer_logits_),
      budget_(budget),
      cache_(std::move(cache)),
      plans_(other.plans_),
      policy_(strategy_.begin_generation(prompt_.statistics, plans_, budget_)),
      positions_(other.positions_),
      tokens_seen_(other.tokens_seen_),
      fork_at_(other.fork_at_),
      requested_slots_(other.requested_slots_),
      compression_seconds_(other.compression_seconds_),
      failure_(other.failure_) {}

Room Sequence::room_for(int64_t new_tokens) const {
  new_tokens += std::ssize(late_.ids);
  if (policy_ == nullptr) return {new_tokens, new_tokens};
  // Heads begin with what they were given, whatever that is, and grow as the budget does.
  const int64_t prompt_tokens = prompt_.statistics.prompt_tokens;
  const int64_t growth = budget_.slots(tokens_seen_ + new_tokens, prompt_tokens) -
                         budget_.slots(tokens_seen_, prompt_tokens);
  // With each token at most one entry goes, as a rule; where it joins another of the prompt's, that
  // becomes one of the sequence's own.
  return {std::min(new_tokens, growth + policy_->overshoot()),
          policy_->joins() ? 2 * new_tokens : new_tokens};
}

void Sequence::reserve(int64_t new_tokens) { cache_.reserve(room_for(new_tokens)); }

int64_t Sequence::bytes_to_run(int64_t new_tokens) const {
  const Room room = room_for(new_tokens);
  int64_t entries = 0;
  for (int64_t layer = 0; layer < cache_.shape().layers; ++layer) {
    for (const int64_t length : cache_.head_lengths(layer))
      entries += std::min(room.appended, length + room.longer);
  }
  return cache_.own_bytes() + entries * cache_.entry_bytes();
}

DecodeInput Sequence::next(int64_t token) {
  DecodeInput input;
  input.cache = &cache_;
  input.token = token;
  input.token_index = tokens_seen_;
  input.positions = positions_;
  input.weights = policy_ != nullptr && strategy_.needs().decode_rows;
  input.features = late_.features;
  return input;
}

void Sequence::has_run(std::vector<at::Tensor> weights) {
  ++tokens_seen_;
  step_ = {.tokens_seen = tokens_seen_, .cache = &cache_, .rows = std::move(weights)};
}

CacheQuestions Sequence::ask() {
  if (policy_ == nullptr || !failure_.empty()) return {&cache_, {}};
  try {
    return {&cache_, policy_->ask(step_)};
  } catch (const Error& error) {
    failure_ = error.what();
    return {&cache_, {}};
  }
}

std::vector<StepPlan> Sequence::decide(std::vector<NearestSlots> answers) {
  if (policy_ == nullptr || !failure_.empty()) return {};
  step_.answers = std::move(answers);
  std::vector<StepPlan> plans;
  try {
    plans = policy_->step(step_);
  } catch (const Error& error) {
    failure_ = error.what();  // of this sequence alone: others of the batch go on
    return {};
  }
  ELASTIKV_ASSERT(plans.empty() || static_cast<int64_t>(plans.size()) == cache_.shape().layers,
                  "{} step plans", plans.size());
  step_.rows.clear();
  return plans;
}

void Sequence::carry_out(const std::vector<StepPlan>& plans, SlotJoins& joins) {
  for (size_t i = 0; i < plans.size(); ++i)
    cache_.apply(static_cast<int64_t>(i), plans[i], rotary_, &joins);
}

void Sequence::note_failure(const LanguageModel& model, const std::vector<int64_t>& fed) {
  if (!failure_.empty()) return;
  std::vector<int64_t> ids;  // that have an embedding: those of images were looked at before
  std::copy_if(fed.begin(), fed.end(), std::back_inserter(ids), [](int64_t id) { return id >= 0; });
  failure_ = first_non_finite(model, cache_, ids);
}

namespace {

/// Whether a slot's rank or its distance to the new token stays the same while it is there, for
/// every slot: then un-rotated keys can be rotated once for many tokens.
bool keeps_ranks_or_distances(const std::vector<int64_t>& until) {
  const size_t size = until.size();
  std::vector<int64_t> newer(size + 1, Lifetimes::kForever);  // first loss after an entry
  for (size_t i = size; i-- > 0;) newer[i] = std::min(newer[i + 1], until[i]);
  int64_t older = Lifetimes::kForever;  // first loss before an entry
  for (size_t i = 0; i < size; ++i) {
    if (newer[i + 1] < until[i] && older < until[i]) return false;
    older = std::min(older, until[i]);
  }
  return true;
}

/// Who sees which slot of one set. `until`: by rank as in Lifetimes, `tokens` new ones included;
/// `slots`: by rank, of the entries that are there.
ChunkSlots chunk_slots(const std::vector<int64_t>& until, const std::vector<int64_t>& slots,
                       int64_t tokens, bool unrotated) {
  const size_t there = slots.size();
  const size_t size = there + static_cast<size_t>(tokens);
  ChunkSlots result;
  result.first.resize(size);
  result.until.resize(size);
  const auto slot_of = [&](size_t rank) {
    return rank < there ? static_cast<size_t>(slots[rank]) : rank;
  };
  for (size_t rank = 0; rank < size; ++rank) {
    const size_t slot = slot_of(rank);
    result.first[slot] = rank < there ? 0 : static_cast<int32_t>(rank - there);
    result.until[slot] = static_cast<int32_t>(std::min(until[rank], tokens));
  }
  if (!unrotated) return result;
  result.key_positions.resize(size);
  result.keeps_rank.resize(size);
  int64_t lost = Lifetimes::kForever;
  for (size_t rank = size; rank-- > 0;) {
    const size_t slot = slot_of(rank);
    result.key_positions[slot] = static_cast<int64_t>(rank);
    result.keeps_rank[slot] = lost < std::min(until[rank], tokens) ? 1 : 0;
    lost = std::min(lost, until[rank]);
  }
  for (int64_t t = 0; t < tokens; ++t) {
    int64_t seen = 0;
    for (size_t i = 0; i < size; ++i) seen += result.first[i] <= t && t < result.until[i] ? 1 : 0;
    result.rank_positions.push_back(seen - 1);
    result.query_positions.push_back(static_cast<int64_t>(there) + t);
  }
  return result;
}

}  // namespace

std::vector<Lifetimes> Sequence::all_stay(int64_t new_tokens) const {
  const int64_t layers = cache_.shape().layers;
  std::vector<Lifetimes> lifetimes(static_cast<size_t>(layers));
  for (int64_t layer = 0; layer < layers; ++layer) {
    for (int64_t group = 0; group < cache_.groups(layer); ++group) {
      lifetimes[static_cast<size_t>(layer)].until.emplace_back(
          static_cast<size_t>(cache_.length(layer, group) + new_tokens), Lifetimes::kForever);
    }
  }
  return lifetimes;
}

bool Sequence::late_without_policy() const {
  return policy_ == nullptr || (late_.kept && !strategy_.needs().decode_rows);
}

void Sequence::late_have_run(at::Tensor logits) {
  // What the policy has seen of them cannot be copied.
  if (!is_foreseen() && late_without_policy()) fork_at_ = tokens_seen_;
  late_.ids.clear();
  late_.features = at::Tensor();
  answer_logits_ = std::move(logits);
}

void Sequence::keep_late() {
  ELASTIKV_ASSERT(late_without_policy(), "late tokens that a policy has to see");
  lifetimes_ = all_stay(std::ssize(late_.ids));
}

bool Sequence::foresee(int64_t new_tokens) {
  std::vector<Lifetimes> lifetimes = policy_ == nullptr
                                         ? all_stay(new_tokens)
                                         : policy_->foresee(cache_, tokens_seen_, new_tokens);
  if (lifetimes.empty()) return false;
  for (const Lifetimes& layer : lifetimes) {
    for (const auto& until : layer.until) {
      if (positions_ == PositionMode::kRerotated && !keeps_ranks_or_distances(until)) return false;
    }
  }
  lifetimes_ = std::move(lifetimes);
  foreseen_ = true;
  return true;
}

ChunkInput Sequence::next_chunk(std::span<const int64_t> of_chunk) {
  const auto tokens = std::ssize(of_chunk);
  ChunkInput input;
  input.cache = &cache_;
  input.tokens = of_chunk;
  input.token_index = tokens_seen_;
  input.features = late_.features;
  const bool unrotated = cache_.keys_are_unrotated();
  for (int64_t layer = 0; layer < cache_.shape().layers; ++layer) {
    auto& groups = input.slots.emplace_back();
    const auto& until = lifetimes_[static_cast<size_t>(layer)].until;
    for (size_t group = 0; group < until.size(); ++group) {
      groups.push_back(chunk_slots(
          until[group], slots_by_position(cache_.positions(layer, static_cast<int64_t>(group))),
          tokens, unrotated));
    }
  }
  if (unrotated) return input;
  for (int64_t t = 0; t < tokens; ++t) {
    int64_t position = cache_.rotary_position(tokens_seen_ + t);
    if (positions_ == PositionMode::kCacheLength) {
      // What layer 0 holds when the token comes.
      position = 0;
      for (const ChunkSlots& slots : input.slots[0]) {
        int64_t seen = 0;
        for (size_t i = 0; i < slots.first.size(); ++i)
          seen += slots.first[i] <= t && t < slots.until[i] ? 1 : 0;
        position = std::max(position, seen - 1);  // without the token itself
      }
    }
    input.rotary_positions.push_back(position);
  }
  return input;
}

void Sequence::after_chunk(int64_t tokens) {
  tokens_seen_ += tokens;
  for (size_t layer = 0; layer < lifetimes_.size(); ++layer) {
    StepPlan plan;
    bool anything = false;
    auto& groups = lifetimes_[layer].until;
    for (size_t group = 0; group < groups.size(); ++group) {
      const std::vector<int64_t> slots = slots_by_position(
          cache_.positions(static_cast<int64_t>(layer), static_cast<int64_t>(group)));
      std::vector<int64_t> still;
      std::vector<int64_t>& gone = plan.evict.emplace_back();
      for (size_t rank = 0; rank < groups[group].size(); ++rank) {
        const int64_t until = groups[group][rank];
        if (rank < slots.size() && until <= tokens) {
          gone.push_back(slots[rank]);
        } else {
          still.push_back(until == Lifetimes::kForever ? until : until - tokens);
        }
      }
      groups[group] = std::move(still);
      anything = anything || !gone.empty();
    }
    if (anything) cache_.apply(static_cast<int64_t>(layer), plan, rotary_);
  }
}

std::vector<Sequence*> pointers_to(std::vector<Sequence>& sequences) {
  std::vector<Sequence*> all;
  all.reserve(sequences.size());
  for (Sequence& sequence : sequences) all.push_back(&sequence);
  return all;
}

std::vector<Sequence> restart_all(const std::vector<Sequence>& sequences) {
  std::vector<Sequence> restarts;
  restarts.reserve(sequences.size());
  for (const Sequence& sequence : sequences) restarts.push_back(sequence.restart());
  return restarts;
}

namespace {

/// What a step gives. The host has seen what is on the CPU.
struct Step {
  at::Tensor logits;
  at::Tensor next;  // int64 [rows] on the CPU, if asked for
};

/// Calls `work` with the index of every sequence; on all threads where it reads `numbers` of
/// attention in all that are worth waking them for.
void for_all(const std::vector<Sequence*>& sequences, int64_t numbers,
             const std::function<void(size_t)>& work) {
  constexpr int64_t kWorthIt = 1 << 16;
  const int64_t count = std::ssize(sequences);
  const int64_t grain = numbers < kWorthIt ? count : 1;
  at::parallel_for(0, count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) work(static_cast<size_t>(i));
  });
}

int64_t numbers_in(const std::vector<std::vector<at::Tensor>>& weights) {
  int64_t numbers = 0;
  for (const std::vector<at::Tensor>& layers : weights) {
    for (const at::Tensor& x : layers) numbers += x.numel();
  }
  return numbers;
}

/// Lets the policies of all sequences decide after a step, and does what they say.
void evict(const std::vector<Sequence*>& sequences, std::vector<std::vector<at::Tensor>> weights) {
  const int64_t numbers = numbers_in(weights);
  std::vector<std::vector<NearestSlots>> answers(sequences.size());
  const auto knows_slots = [](const Sequence* sequence) { return sequence->cache().is_mirrored(); };
  if (std::all_of(sequences.begin(), sequences.end(), knows_slots)) {
    std::vector<CacheQuestions> questions(sequences.size());
    for_all(sequences, numbers, [&](size_t i) {
      sequences[i]->has_run(std::move(weights[i]));
      questions[i] = sequences[i]->ask();
    });
    answers = nearest_keys(questions);
  } else {
    for (size_t i = 0; i < sequences.size(); ++i) sequences[i]->has_run(std::move(weights[i]));
  }
  std::vector<std::vector<StepPlan>> plans(sequences.size());
  for_all(sequences, numbers,
          [&](size_t i) { plans[i] = sequences[i]->decide(std::move(answers[i])); });
  SlotJoins joins;
  for (size_t i = 0; i < sequences.size(); ++i) sequences[i]->carry_out(plans[i], joins);
  joins.run();
}

Step run_step(const LanguageModel& model, const std::vector<Sequence*>& sequences,
              const std::vector<int64_t>& tokens, DecodeGraphs* graphs, bool greedy) {
  ELASTIKV_ASSERT(sequences.size() == tokens.size(), "{} tokens for {} sequences", tokens.size(),
                  sequences.size());
  std::vector<DecodeInput> rows;
  rows.reserve(sequences.size());
  for (size_t i = 0; i < sequences.size(); ++i) rows.push_back(sequences[i]->next(tokens[i]));
  DecodeOutput output = model.decode(rows, graphs);
  const bool reads = output.weights_on_device.defined();
  std::vector<at::Tensor> wanted;
  // No NaN is smaller than anything.
  if (greedy || reads || output.logits.is_cpu()) wanted.push_back(output.logits.amax(-1));
  if (greedy) wanted.push_back(output.logits.argmax(-1));
  if (reads) wanted.push_back(output.weights_on_device);
  wanted = fetched(wanted);
  for (size_t i = 0; i < sequences.size() && !wanted.empty(); ++i) {
    if (!std::isfinite(wanted[0].const_data_ptr<float>()[i]))
      sequences[i]->note_failure(model, {tokens[i]});
  }
  if (reads) {
    for (std::vector<at::Tensor>& layers : output.weights) {
      for (at::Tensor& x : layers)
        x = wanted.back().as_strided(x.sizes(), x.strides(), x.storage_offset());
    }
  }
  evict(sequences, std::move(output.weights));
  return {output.logits, greedy ? wanted[1] : at::Tensor()};
}

}  // namespace

at::Tensor decode_step(const LanguageModel& model, const std::vector<Sequence*>& sequences,
                       const std::vector<int64_t>& tokens, DecodeGraphs* graphs) {
  return run_step(model, sequences, tokens, graphs, /*greedy=*/false).logits;
}

at::Tensor run_chunk(const LanguageModel& model, const std::vector<Sequence*>& sequences,
                     const std::vector<std::span<const int64_t>>& tokens,
                     const LayerWatch& on_layer) {
  ELASTIKV_ASSERT(sequences.size() == tokens.size(), "chunks of {} for {} sequences", tokens.size(),
                  sequences.size());
  std::vector<ChunkInput> rows;
  rows.reserve(sequences.size());
  for (size_t i = 0; i < sequences.size(); ++i) rows.push_back(sequences[i]->next_chunk(tokens[i]));
  at::Tensor hidden = model.decode_chunk(rows, on_layer);
  for (size_t i = 0; i < sequences.size(); ++i) sequences[i]->after_chunk(std::ssize(tokens[i]));
  return hidden;
}

std::vector<int64_t> greedy_step(const LanguageModel& model,
                                 const std::vector<Sequence*>& sequences,
                                 const std::vector<int64_t>& tokens, DecodeGraphs* graphs) {
  const at::Tensor next = run_step(model, sequences, tokens, graphs, /*greedy=*/true).next;
  const auto* ids = next.const_data_ptr<int64_t>();
  return {ids, ids + next.numel()};
}

}  // namespace elastikv
