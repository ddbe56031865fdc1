#pragma once

#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "models/language_model.h"
#include "runtime/sequence.h"

namespace elastikv {

/// Whether any of the sequences has tokens that come after its compression.
bool any_late(const std::vector<Sequence*>& sequences);

/// Runs the late tokens of all sequences that have some through their compressed caches. Returns
/// what the first token of each answer is drawn from, f32 [sequences, vocab]: for a sequence
/// without late tokens Sequence::answer_logits. By chunks, as far as the sequences are foreseen or
/// their policies need not see late tokens, else step by step; as a batch whatever they ask. A
/// sequence whose logits are not finite has failed (Sequence::failure). `on_rows` is called with
/// the sequences that run together, before every step and before each layer of a chunk; what it
/// throws ends the call. `graphs` as in LanguageModel::decode.
at::Tensor begin_answers(const LanguageModel& model, const std::vector<Sequence*>& sequences,
                         const std::function<void(int64_t rows)>& on_rows,
                         DecodeGraphs* graphs = nullptr);

}  // namespace elastikv
