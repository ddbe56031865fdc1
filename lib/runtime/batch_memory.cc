#include "runtime/batch_memory.h"

#include <algorithm>

#include "runtime/evaluation.h"
#include "runtime/memory.h"

namespace elastikv {
namespace {

/// Of what is left, since not all of an allocator's blocks fit where there is room.
constexpr double kShare = 0.95;

/// Bytes of activations while `rows` tokens go through the model and `logits` of them through its
/// head. The widest layer of the models at hand has less than 16 numbers for each one of a hidden
/// state that are alive at a time; logits are held, sorted out and turned into probabilities.
double activation_bytes(const LanguageModel& model, int64_t rows, int64_t logits) {
  const auto width = static_cast<double>(model.query_heads() * model.cache_shape().head_dim);
  return sizeof(float) * (16 * width * static_cast<double>(rows) +
                          3.0 * static_cast<double>(model.vocab_size() * logits));
}

}  // namespace

BatchMemory::BatchMemory(const LanguageModel& model, c10::Device device, const BatchPhases& phases)
    : model_(model), device_(device), phases_(phases) {}

bool BatchMemory::add(const Sequence& sequence) {
  ++rows_;
  const int64_t own = sequence.cache().own_bytes();
  taken_ += own;
  if (phases_.scored_tokens > 0) {
    scoring_ += sequence.bytes_to_run(phases_.scored_tokens);
    if (phases_.generated_tokens == 0) scoring_ -= own;
  }
  if (phases_.generated_tokens > 0)
    generating_ += sequence.bytes_to_run(phases_.generated_tokens) - own;
  const int64_t held = std::max(scoring_, generating_);
  // The first un-rotated keys are a copy that no sequence counts.
  const bool copied = sequence.cache().keys_are_unrotated() && !unrotated_;
  unrotated_ = unrotated_ || copied;
  if (rows_ == 1 || copied || held + taken_ > ask_at_) {
    const int64_t left = memory_left(device_);
    room_ = left + taken_;
    ask_at_ = held + taken_ + left / 8;
  }
  const int64_t tokens =
      std::min(std::max(phases_.scored_tokens, phases_.late_tokens), kTokensTogether);
  const int64_t at_once = std::max(rows_, std::min(rows_ * tokens, kRowsTogether));
  const int64_t logits =
      std::max(rows_, std::min(rows_ * phases_.scored_tokens, kLogitRowsTogether));
  return static_cast<double>(held) + activation_bytes(model_, at_once, logits) <=
         kShare * static_cast<double>(room_ - taken_);
}

}  // namespace elastikv
