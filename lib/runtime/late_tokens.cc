#include "runtime/late_tokens.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include <ATen/ops/stack.h>

#include "base/error.h"
#include "runtime/evaluation.h"

namespace elastikv {
namespace {

using Ids = std::vector<int64_t>;

const Ids& ids_of(const Sequence* sequence) { return sequence->late().ids; }

/// f32 [sequences, vocab] behind the last of the tokens, of which all have as many.
at::Tensor run_by_chunks(const LanguageModel& model, const std::vector<Sequence*>& batch,
                         const LayerWatch& watch) {
  const int64_t count = std::ssize(ids_of(batch.front()));
  at::Tensor hidden;
  for (int64_t begin = 0; begin < count; begin += kTokensTogether) {
    const int64_t end = std::min(begin + kTokensTogether, count);
    std::vector<std::span<const int64_t>> chunks;
    chunks.reserve(batch.size());
    for (const Sequence* sequence : batch)
      chunks.emplace_back(ids_of(sequence).data() + begin, static_cast<size_t>(end - begin));
    hidden = run_chunk(model, batch, chunks, watch);
  }
  return model.logits(hidden.select(1, hidden.size(1) - 1).contiguous());
}

/// The same step by step, of tokens that need not be as many.
at::Tensor run_by_steps(const LanguageModel& model, const std::vector<Sequence*>& sequences,
                        const std::function<void(int64_t rows)>& on_rows, DecodeGraphs* graphs) {
  std::vector<at::Tensor> last(sequences.size());
  for (size_t step = 0;; ++step) {
    std::vector<Sequence*> batch;
    std::vector<size_t> places;
    Ids tokens;
    for (size_t i = 0; i < sequences.size(); ++i) {
      if (step >= ids_of(sequences[i]).size()) continue;
      batch.push_back(sequences[i]);
      places.push_back(i);
      tokens.push_back(ids_of(sequences[i])[step]);
    }
    if (batch.empty()) return at::stack(last);
    if (on_rows) on_rows(std::ssize(batch));
    const at::Tensor logits = decode_step(model, batch, tokens, graphs);
    for (size_t row = 0; row < batch.size(); ++row) {
      if (step + 1 == ids_of(batch[row]).size())
        last[places[row]] = logits[static_cast<int64_t>(row)];
    }
  }
}

}  // namespace

bool any_late(const std::vector<Sequence*>& sequences) {
  return std::any_of(sequences.begin(), sequences.end(),
                     [](const Sequence* sequence) { return !ids_of(sequence).empty(); });
}

at::Tensor begin_answers(const LanguageModel& model, const std::vector<Sequence*>& sequences,
                         const std::function<void(int64_t rows)>& on_rows, DecodeGraphs* graphs) {
  std::vector<at::Tensor> first(sequences.size());
  // Chunks that run together are of one length; all that is run in steps is.
  std::map<size_t, std::vector<size_t>> by_length;
  constexpr size_t kSteps = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    Sequence& sequence = *sequences[i];
    if (ids_of(&sequence).empty()) {
      first[i] = sequence.answer_logits();
      continue;
    }
    const bool chunks = sequence.is_foreseen() || sequence.late_without_policy();
    if (chunks && !sequence.is_foreseen()) sequence.keep_late();
    by_length[chunks ? ids_of(&sequence).size() : kSteps].push_back(i);
  }
  for (const auto& [length, all] : by_length) {
    const size_t together = length != kSteps ? kSequencesTogether : all.size();
    for (size_t from = 0; from < all.size(); from += together) {
      const size_t to = std::min(from + together, all.size());
      std::vector<Sequence*> batch;
      for (size_t i = from; i < to; ++i) batch.push_back(sequences[all[i]]);
      const auto watch = [&](int64_t, int64_t) {
        if (on_rows) on_rows(std::ssize(batch));
      };
      const at::Tensor logits = length != kSteps ? run_by_chunks(model, batch, watch)
                                                 : run_by_steps(model, batch, on_rows, graphs);
      const at::Tensor highest = logits.amax(-1).cpu();  // no NaN is smaller than anything
      for (size_t i = from; i < to; ++i) {
        const auto row = static_cast<int64_t>(i - from);
        Sequence& sequence = *sequences[all[i]];
        first[all[i]] = logits[row];
        if (!std::isfinite(highest.const_data_ptr<float>()[row]))
          sequence.note_failure(model, ids_of(&sequence));
        sequence.late_have_run(first[all[i]]);
      }
    }
  }
  return at::stack(first);
}

}  // namespace elastikv
