#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/language_model.h"
#include "runtime/sequence.h"

namespace elastikv {

struct GreedyOptions {
  int64_t max_new_tokens = 128;
  /// The same by sequence, where they differ; none of it above max_new_tokens. Empty: they don't.
  std::vector<int64_t> most_of_each;
  std::vector<int64_t> end_tokens;
  /// Called with (sequence, token) for every new token that is no end token, as it comes.
  std::function<void(size_t, int64_t)> on_token;
  /// Asked the same behind that: whether the text ends with this token.
  std::function<bool(size_t, int64_t)> ends;
  /// Asked before every step; true ends the call with what there is.
  std::function<bool()> should_stop;
  /// Called before every step with the steps done, the most that there will be, and the sequences
  /// that still run.
  std::function<void(int64_t done, int64_t of, int64_t rows)> on_step;
  /// As in LanguageModel::decode.
  DecodeGraphs* graphs = nullptr;
};

struct GreedyText {
  std::vector<int64_t> token_ids;  ///< without the end token
  bool finished = false;           ///< it ended by itself before max_new_tokens
  std::string failure;  ///< why the text breaks off (Sequence::failure); empty: it does not
};

/// Greedy generation of all sequences as one batch; the first token comes from the prompt's own
/// logits, or from what the last late token of a sequence made of its compressed cache. Prompts and
/// late tokens may differ. A sequence leaves the batch when it ends or fails.
std::vector<GreedyText> generate_greedy(const LanguageModel& model,
                                        const std::vector<Sequence*>& sequences,
                                        const GreedyOptions& options);

}  // namespace elastikv
