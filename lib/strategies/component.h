#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "strategies/budget.h"
#include "strategies/strategy.h"

namespace elastikv {

/// Who shares a decision. "Slots" of a layer are then chosen once per model, per layer or per KV
/// head. The coarsest first, so that they compare.
enum class Granularity { kModel, kLayer, kKvHead };

/// The number of separate decisions G in a layer.
int64_t groups_of(Granularity granularity, int64_t kv_heads);
std::string granularity_name(Granularity granularity);

/// Entries that a selection keeps whatever their scores, and that take no part in merging: the
/// first `sinks` and the last `recent` of the prompt. sinks + recent never exceeds the slots.
struct Protected {
  int64_t sinks = 0;
  int64_t recent = 0;
};

/// Slots that stay, [G][kept], each row ascending and unique.
using KeptSlots = std::vector<std::vector<int64_t>>;

/// How much each prompt entry matters. Components are immutable and shared between strategies and
/// generation policies.
class Importance {
 public:
  virtual ~Importance() = default;
  virtual StatisticsRequest needs() const = 0;
  virtual Granularity granularity() const = 0;
  /// One f32 [G, prompt_tokens] per layer; larger is kept. Error when the model's statistics are
  /// not finite.
  virtual std::vector<at::Tensor> scores(const PromptStatistics& prompt) const = 0;
  /// What a policy that goes on accumulating attention has to know; Accumulation::kNone when these
  /// scores are no accumulated attention.
  enum class Accumulation { kNone, kSum, kMeanOverObservers };
  virtual Accumulation accumulation() const { return Accumulation::kNone; }
  /// The component as a record's key states it, for example "attention(granularity=layer)".
  virtual std::string description() const = 0;
};

/// How many slots each layer may hold.
class Allocation {
 public:
  virtual ~Allocation() = default;
  virtual StatisticsRequest needs() const { return {}; }
  /// One number per layer, each at least 1 and at most the prompt's tokens; together `total`,
  /// exactly. layers <= total <= layers x prompt tokens.
  virtual std::vector<int64_t> slots_per_layer(const PromptStatistics& prompt,
                                               int64_t total) const = 0;
  virtual std::string description() const = 0;
};

/// How the slots of a layer are shared among its KV heads.
class HeadAllocation {
 public:
  virtual ~HeadAllocation() = default;
  /// One number per row of scores (f32 [kv_heads, tokens]), each at least 1 and at most `tokens`;
  /// together kv_heads x slots, exactly. `protect`: what the selection protects in a head of
  /// `slots`.
  virtual std::vector<int64_t> slots_per_head(const at::Tensor& scores, int64_t slots,
                                              Protected protect) const = 0;
  virtual std::string description() const = 0;
};

/// One layer of a prompt, or of a cache that is compressed again.
struct SelectionInput {
  at::Tensor scores;  ///< f32 [G, tokens], contiguous; undefined unless the selection needs scores
  int64_t tokens = 0;
  /// [1] or [kv_heads]: slots that each group may keep, between 1 and tokens.
  std::vector<int64_t> slots;
  Budget budget = Budget::unlimited();
  int64_t image_begin = 0;  ///< the image's tokens, as in PromptStatistics
  int64_t image_end = 0;
  const LayerStatistics* layer = nullptr;

  int64_t slots_of(size_t group) const { return slots.size() == 1 ? slots[0] : slots[group]; }
};

/// Which entries of the prompt stay.
class Selection {
 public:
  virtual ~Selection() = default;
  virtual bool needs_scores() const = 0;
  /// Beyond the importance's own.
  virtual StatisticsRequest needs() const { return {}; }
  /// What is protected in a cache of `slots`.
  virtual Protected protect(int64_t slots) const = 0;
  /// The finest granularity of scores that it can choose by.
  virtual Granularity finest_granularity() const { return Granularity::kKvHead; }
  /// False for a selection that does not keep exactly the slots it is given: everything, or what
  /// released code counts from `budget` in its own way.
  virtual bool keeps_exactly() const { return true; }
  /// Slots that stay: G rows for scores [G, tokens], else as many as `slots` has.
  virtual KeptSlots select(const SelectionInput& input) const = 0;
  virtual std::string description() const = 0;
};

/// One layer whose selection is made; not all entries stay.
struct CompactionInput {
  const KeptSlots& kept;                  ///< [G][...]
  const std::vector<Protected>& protect;  ///< [G]
  int64_t tokens;
  at::Tensor scores;  ///< f32 [1 or G, tokens], or undefined when the strategy has no importance
  const LayerStatistics& layer;
  int64_t layer_index;
  uint64_t seed;  ///< of the sample, for what is drawn
};

/// What a StepCompaction is told: entries that a policy evicts from one set of slots.
struct StepCompactionInput {
  const KVCache& cache;
  int64_t layer;
  int64_t group;
  int64_t groups;  ///< sets that the layer is decided in: 1 for all KV heads, or kv_heads
  const std::vector<int64_t>& by_position;  ///< all slots of the set, oldest entry first
  const std::vector<int64_t>& evicted;      ///< ranks, i.e. indices into by_position, ascending
  Protected protect;                        ///< of the ranks
  std::vector<float> scores;                ///< by rank, when the policy keeps scores; else empty
  const NearestSlots* nearest = nullptr;    ///< answer to what it asked, if it was asked to
};

/// How entries that one step evicts join the others: ranks again, so that the policy turns them
/// into slots.
struct StepMerge {
  std::vector<int64_t> source;  ///< [merges] ranks among the evicted entries
  std::vector<int64_t> anchor;  ///< [merges] ranks among the others
  std::vector<float> source_weight;
  std::vector<float> anchor_weight;  ///< one per merge: the weight of its anchor, the same each
                                     ///< time that the anchor appears
};

/// A compaction's work while generating; holds a sequence's state.
class StepCompaction {
 public:
  virtual ~StepCompaction() = default;
  /// What `merge` needs to know of the cache's keys; see GenerationPolicy::ask.
  virtual std::optional<NearestQuestion> ask(const StepCompactionInput& /*input*/) const {
    return std::nullopt;
  }
  virtual StepMerge merge(const StepCompactionInput& input) = 0;
  /// The same with the same state, for another sequence (GenerationPolicy::go_on); null: it cannot
  /// be copied.
  virtual std::unique_ptr<StepCompaction> copy() const { return nullptr; }
};

struct GenerationStart;

/// What happens to the entries that do not stay.
class Compaction {
 public:
  virtual ~Compaction() = default;
  virtual StatisticsRequest needs() const { return {}; }
  virtual bool needs_scores() const { return false; }
  /// False for a compaction that only forgets.
  virtual bool merges() const { return true; }
  /// True when keys are averaged as they were before their rotation.
  virtual bool merges_unrotated_keys() const { return false; }
  virtual LayerPlan plan(const CompactionInput& input) const = 0;
  /// Rule, key space and merge_keys of a StepMerge carried out as a plan.
  virtual LayerPlan step_plan_options() const { return {}; }
  /// Null when entries evicted while generating are forgotten.
  virtual std::unique_ptr<StepCompaction> begin(const GenerationStart& /*start*/) const {
    return nullptr;
  }
  virtual std::string description() const = 0;
};

/// All that a generation policy may take over from the prompt.
struct GenerationStart {
  PromptStatistics prompt;
  std::vector<LayerPlan> plans;
  Budget budget = Budget::unlimited();
  std::shared_ptr<const Importance> importance;  ///< null when the strategy has none
  std::shared_ptr<const Selection> selection;
  std::shared_ptr<const Compaction> compaction;

  /// Entries of the prompt that `plans` keep in a group of a layer; a shared plan serves any group.
  int64_t kept(int64_t layer, int64_t group = 0) const;
  /// Slots that a group of a layer may hold after `tokens_seen` tokens: those that the prompt kept,
  /// and what the budget has grown by since. Layers and heads that were given more keep their lead.
  int64_t slots(int64_t layer, int64_t group, int64_t tokens_seen) const;
};

/// What is evicted while answering.
class Generation {
 public:
  virtual ~Generation() = default;
  /// True when the policy reads the attention row of every new token.
  virtual bool needs_rows() const { return false; }
  /// True when the policy adds rows to the prompt's accumulated attention.
  virtual bool accumulates() const { return false; }
  /// True when the policy compresses the cache again by the strategy's importance, selection and
  /// compaction.
  virtual bool recompresses() const { return false; }
  /// The finest granularity of scores and slots that it can go on from.
  virtual Granularity finest_granularity() const { return Granularity::kKvHead; }
  /// Null when nothing is ever evicted.
  virtual std::unique_ptr<GenerationPolicy> begin(GenerationStart start) const = 0;
  virtual std::string description() const = 0;
};

}  // namespace elastikv
