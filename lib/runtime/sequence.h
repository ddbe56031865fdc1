#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/device_stopwatch.h"
#include "models/decode_graphs.h"
#include "models/language_model.h"
#include "runtime/prompt_encoder.h"
#include "strategies/strategy.h"

namespace elastikv {

/// Tokens that come after the compression, and before those of an answer.
struct LateTokens {
  /// -1 - i stands for row i of `features`.
  std::vector<int64_t> ids{};
  /// Whether their entries are kept on top of the budget until they have all been run; the
  /// generation policy treats them like those of an answer otherwise.
  bool kept = true;
  /// Of images among them, in the decoder's embedding space: [n, hidden]; undefined without any.
  at::Tensor features{};
};

/// One sequence under one strategy and budget: a fork of the prompt's cache that the strategy has
/// compressed, and the policy that keeps it within its budget while tokens are added.
class Sequence {
 public:
  /// Compresses a fork of the prompt's cache. `late` is to be run before anything else
  /// (begin_answers). Error where what the strategy reads of the prompt, or ranks it by, is not
  /// finite. The model, the strategy and the prompt must outlive the sequence.
  Sequence(const LanguageModel& model, const EncodedPrompt& prompt, const Strategy& strategy,
           const Budget& budget, LateTokens late = {});

  /// A second sequence from the same compressed prompt; this one must not have been stepped yet,
  /// but for late tokens that its policy need not see (late_without_policy). Of a sequence that
  /// went on, a branch.
  Sequence restart() const;
  /// The same with another question behind it: `late` is to be run before anything else. `prompt`:
  /// a fork of this one's, which was compressed; its seed is that of what the policy draws.
  Sequence ask(const EncodedPrompt& prompt, LateTokens late) const;

  /// Goes on behind what was run, its late tokens included, with more that are to be run before
  /// anything else: the text between an answer and the next question, or an answer that others
  /// gave. Error where its policy cannot go on.
  void go_on(LateTokens late);
  /// From here on nothing is evicted; it must not have been run yet.
  void evict_nothing();
  /// A second sequence from here, whatever was run so far. Error as there.
  Sequence branch() const;

  /// Reserves room for the late tokens and so many more, as far as the budget lets them stay.
  void reserve(int64_t new_tokens);
  /// At most the bytes that a restart of this sequence takes for keys and values once room for that
  /// many tokens is reserved: what it holds beside the prompt's entries, and the room.
  int64_t bytes_to_run(int64_t new_tokens) const;
  /// What the model needs to run `token` as this sequence's next one.
  DecodeInput next(int64_t token);
  /// To be called after each decode step with the sequence's attention rows on the CPU (empty if
  /// none were asked for).
  void has_run(std::vector<at::Tensor> weights);
  /// What the policy wants to know of keys on a device before it decides.
  CacheQuestions ask();
  /// What the policy says is to be evicted. `answers`: to what it asked. Several sequences may ask
  /// or decide at once.
  std::vector<StepPlan> decide(std::vector<NearestSlots> answers);
  /// Evicts what was decided. `joins` as in KVCache::apply.
  void carry_out(const std::vector<StepPlan>& plans, SlotJoins& joins);

  /// Finds out what will be evicted over the next `new_tokens`. False when that depends on what
  /// the model computes; if true, the sequence is run by chunks from now on and no more step by
  /// step.
  bool foresee(int64_t new_tokens);
  /// After foresee: what the model needs to run the next `tokens`, which outlive the pass, of those
  /// foreseen at once.
  ChunkInput next_chunk(std::span<const int64_t> tokens);
  /// To be called after each chunk: evicts what is gone by then.
  void after_chunk(int64_t tokens);

  /// Tokens that come after the compression; none once they were run.
  const LateTokens& late() const { return late_; }
  /// `logits`: f32 [vocab] behind the last of them.
  void late_have_run(at::Tensor logits);
  /// f32 [vocab]: what the first token of the answer is drawn from, once late tokens have run.
  const at::Tensor& answer_logits() const { return answer_logits_; }
  /// Whether that comes, or will come, from the compressed cache.
  bool begins_late() const { return begins_late_; }
  /// Whether they can be run by chunks though the policy is asked for every token that follows:
  /// nothing is evicted while they come, and it reads nothing of them.
  bool late_without_policy() const;
  /// Makes them run by chunks; the sequence is run step by step from then on. For sequences that
  /// late_without_policy() holds for.
  void keep_late();
  /// Whether chunks are all that it is run by (foresee).
  bool is_foreseen() const { return foreseen_; }

  const EncodedPrompt& prompt() const { return prompt_; }
  const KVCache& cache() const { return cache_; }
  /// Prompt tokens and tokens run since.
  int64_t tokens_seen() const { return tokens_seen_; }
  /// Slots per layer that the budget allowed right after the prompt.
  int64_t requested_slots() const { return requested_slots_; }
  /// Those that it allows now.
  int64_t slots_allowed() const {
    return budget_.slots(tokens_seen_, prompt_.statistics.prompt_tokens);
  }
  const DeviceSeconds& compression_seconds() const { return compression_seconds_; }
  /// Why no token of this sequence can be told any more: what was not finite when it was run, see
  /// first_non_finite. Empty as long as all is well.
  const std::string& failure() const { return failure_; }
  /// Takes note of that after the tokens `fed` left logits that are not finite. Nothing is evicted
  /// from then on, since policies would read what is not finite, too.
  void note_failure(const LanguageModel& model, const std::vector<int64_t>& fed);

 private:
  /// From the compressed prompt of another one, of which `cache` is a fork.
  Sequence(const Sequence& other, const EncodedPrompt& prompt, LateTokens late,
           const Budget& budget, KVCache cache);
  /// Of another sequence as it is.
  Sequence(const Sequence& other, std::unique_ptr<GenerationPolicy> policy);
  /// Its policy for a sequence that goes on from here; null where there is none.
  std::unique_ptr<GenerationPolicy> policy_from_here() const;
  Room room_for(int64_t new_tokens) const;
  /// That nothing of what is there, and of so many new tokens, is evicted.
  std::vector<Lifetimes> all_stay(int64_t new_tokens) const;

  const RotaryTable* rotary_;
  const Strategy& strategy_;
  const EncodedPrompt& prompt_;
  LateTokens late_;
  bool begins_late_;
  at::Tensor answer_logits_;
  Budget budget_;
  KVCache cache_;
  std::vector<LayerPlan> plans_;
  std::unique_ptr<GenerationPolicy> policy_;
  DecodeStep step_;                   // the last one
  std::vector<Lifetimes> lifetimes_;  // [layers] of what is there, and of the tokens to come
  bool foreseen_ = false;
  bool went_on_ = false;
  PositionMode positions_;
  int64_t tokens_seen_;
  int64_t fork_at_;  // of these, how many there may be when it is restarted
  int64_t requested_slots_;
  DeviceSeconds compression_seconds_;
  std::string failure_;
};

/// To run them together.
std::vector<Sequence*> pointers_to(std::vector<Sequence>& sequences);
/// Of each a restart.
std::vector<Sequence> restart_all(const std::vector<Sequence>& sequences);

/// Runs one token of every sequence as one batch, policies included. Returns f32 [sequences,
/// vocab]. A sequence whose logits are not finite has failed (Sequence::failure); on a device only
/// where the step waits for it anyway, since a policy reads its attention: else the host runs
/// ahead, and who reads the logits sees. `graphs` as in LanguageModel::decode.
at::Tensor decode_step(const LanguageModel& model, const std::vector<Sequence*>& sequences,
                       const std::vector<int64_t>& tokens, DecodeGraphs* graphs = nullptr);
/// Runs the next tokens of foreseen sequences as one batch, as many of each: [sequences, tokens,
/// hidden], see LanguageModel::decode_chunk.
at::Tensor run_chunk(const LanguageModel& model, const std::vector<Sequence*>& sequences,
                     const std::vector<std::span<const int64_t>>& tokens,
                     const LayerWatch& on_layer);
/// As decode_step; returns each sequence's most likely next token. A device is waited for once.
std::vector<int64_t> greedy_step(const LanguageModel& model,
                                 const std::vector<Sequence*>& sequences,
                                 const std::vector<int64_t>& tokens,
                                 DecodeGraphs* graphs = nullptr);

}  // namespace elastikv
