#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <c10/core/Device.h>

#include "models/language_model.h"
#include "runtime/prompt_encoder.h"
#include "runtime/sequence.h"

namespace elastikv {

/// What one compressed prompt says of a question's options.
struct OptionScores {
  std::vector<double> log_likelihoods;  ///< nats, [options]: summed over an option's tokens
  int64_t cache_bytes_end = 0;          ///< of keys and values at the end of the longest option
  /// Why a log likelihood is not finite (Sequence::failure); empty where all are.
  std::string failure;
};

struct OptionScoring {
  /// As ForcedOptions::one_pass.
  bool one_pass = true;
  /// Called before every step, and before each layer of a chunk, with the options that are scored,
  /// of all sequences together, and the rows that run together. What it throws ends the call.
  std::function<void(int64_t done, int64_t of, int64_t rows)> on_step;
  /// As in LanguageModel::decode.
  DecodeGraphs* graphs = nullptr;
};

/// Log likelihoods of options, each behind each compressed prompt: token 0 is scored by the
/// prompt's own logits, as teacher_force does it, or by what the sequence's late tokens made of its
/// compressed cache, where it has any; token k by what token k - 1 made of the cache.
/// Every option runs on a restart of its sequence, which refers to the compressed prompt; the
/// options of all sequences run as one batch, or as few as memory and kRowsTogether allow. What
/// runs in chunks is as long as the longest option, whose tokens nobody before them sees: so a
/// score does not depend on what runs beside it. `options`: ids, at least one each.
std::vector<OptionScores> score_options(const LanguageModel& model, c10::Device device,
                                        const std::vector<Sequence*>& sequences,
                                        const std::vector<std::vector<int64_t>>& options,
                                        const OptionScoring& scoring);

}  // namespace elastikv
