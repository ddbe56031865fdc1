#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "strategies/budget.h"
#include "strategies/strategy.h"

namespace elastikv {

/// Who shares a decision. "Slots" of a layer are then chosen once per model, per layer or per KV
/// head.
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
  /// True when a score is the mean over the queries that could see the entry, not their sum; a
  /// policy that accumulates scores has to undo this.
  virtual bool averages_observers() const { return false; }
  /// The component as a record's key states it, for example "attention(granularity=layer)".
  virtual std::string description() const = 0;
};

/// How many slots each layer may hold.
class Allocation {
 public:
  virtual ~Allocation() = default;
  /// One number per layer, each at least 1 and at most `tokens`, for a budget of `slots` per layer
  /// on average.
  virtual std::vector<int64_t> slots_per_layer(const PromptStatistics& prompt, int64_t slots,
                                               int64_t tokens) const = 0;
  virtual std::string description() const = 0;
};

/// Which entries of the prompt stay.
class Selection {
 public:
  virtual ~Selection() = default;
  virtual bool needs_scores() const = 0;
  /// What is protected in a cache of `slots`.
  virtual Protected protect(int64_t slots) const = 0;
  /// Slots that stay of a prompt of `tokens`. scores: f32 [G, tokens], undefined unless
  /// needs_scores. All selections keep min(slots, tokens) entries, except those of released code,
  /// which count from `budget` in their own way.
  virtual KeptSlots select(const at::Tensor& scores, int64_t tokens, int64_t slots,
                           const Budget& budget) const = 0;
  virtual std::string description() const = 0;
};

/// What happens to the entries that do not stay.
class Compaction {
 public:
  virtual ~Compaction() = default;
  /// kept: not all of `tokens`.
  virtual LayerPlan plan(const KeptSlots& kept, int64_t tokens, Protected protect) const = 0;
  virtual std::string description() const = 0;
};

/// All that a generation policy may take over from the prompt.
struct GenerationStart {
  PromptStatistics prompt;
  std::vector<LayerPlan> plans;
  Budget budget = Budget::unlimited();
  std::shared_ptr<const Importance> importance;  ///< null when the strategy has none
  std::shared_ptr<const Allocation> allocation;
  std::shared_ptr<const Selection> selection;

  /// Entries of the prompt that `plans` keep in a layer (the longest of its groups).
  int64_t kept(int64_t layer) const;
};

/// What is given up while answering.
class Generation {
 public:
  virtual ~Generation() = default;
  /// True when the policy reads the attention row of every new token.
  virtual bool needs_rows() const { return false; }
  /// Null when nothing is ever given up.
  virtual std::unique_ptr<GenerationPolicy> begin(GenerationStart start) const = 0;
  virtual std::string description() const = 0;
};

}  // namespace elastikv
