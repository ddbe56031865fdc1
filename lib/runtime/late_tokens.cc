#include "runtime/late_tokens.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>

#include <ATen/ops/stack.h>

#include "base/error.h"
#include "runtime/evaluation.h"

namespace elastikv {
namespace {

/// f32 [sequences, vocab] behind the last of the tokens.
at::Tensor run_by_chunks(const LanguageModel& model, const std::vector<Sequence*>& batch,
                         const std::vector<int64_t>& ids, const LayerWatch& watch) {
  const int64_t count = std::ssize(ids);
  at::Tensor hidden;
  for (int64_t begin = 0; begin < count; begin += kTokensTogether) {
    const int64_t end = std::min(begin + kTokensTogether, count);
    const std::span<const int64_t> chunk(ids.data() + begin, static_cast<size_t>(end - begin));
    hidden = run_chunk(model, batch, std::vector(batch.size(), chunk), watch);
  }
  return model.logits(hidden.select(1, hidden.size(1) - 1).contiguous());
}

at::Tensor run_by_steps(const LanguageModel& model, const std::vector<Sequence*>& batch,
                        const std::vector<int64_t>& ids,
                        const std::function<void(int64_t rows)>& on_rows, DecodeGraphs* graphs) {
  at::Tensor logits;
  for (const int64_t id : ids) {
    if (on_rows) on_rows(std::ssize(batch));
    logits = decode_step(model, batch, std::vector<int64_t>(batch.size(), id), graphs);
  }
  return logits;
}

}  // namespace

bool any_late(const std::vector<Sequence*>& sequences) {
  return std::any_of(sequences.begin(), sequences.end(),
                     [](const Sequence* sequence) { return !sequence->late().ids.empty(); });
}

at::Tensor begin_answers(const LanguageModel& model, const EncodedPrompt& prompt,
                         const std::vector<Sequence*>& sequences,
                         const std::function<void(int64_t rows)>& on_rows, DecodeGraphs* graphs) {
  std::vector<at::Tensor> first(sequences.size(), prompt.logits);
  // Sequences run together that have the same to run in the same way.
  std::map<std::pair<std::vector<int64_t>, bool>, std::vector<size_t>> alike;
  for (size_t i = 0; i < sequences.size(); ++i) {
    Sequence& sequence = *sequences[i];
    const std::vector<int64_t>& ids = sequence.late().ids;
    if (ids.empty()) continue;
    const bool chunks = sequence.is_foreseen() || sequence.late_without_policy();
    if (chunks && !sequence.is_foreseen()) sequence.keep_late();
    alike[{ids, chunks}].push_back(i);
  }
  for (const auto& [key, all] : alike) {
    const auto& [ids, chunks] = key;
    const size_t together = chunks ? kSequencesTogether : all.size();
    for (size_t from = 0; from < all.size(); from += together) {
      const size_t to = std::min(from + together, all.size());
      std::vector<Sequence*> batch;
      for (size_t i = from; i < to; ++i) batch.push_back(sequences[all[i]]);
      const auto watch = [&](int64_t, int64_t) {
        if (on_rows) on_rows(std::ssize(batch));
      };
      const at::Tensor logits = chunks ? run_by_chunks(model, batch, ids, watch)
                                       : run_by_steps(model, batch, ids, on_rows, graphs);
      const at::Tensor highest = logits.amax(-1).cpu();  // no NaN is smaller than anything
      for (size_t i = from; i < to; ++i) {
        const auto row = static_cast<int64_t>(i - from);
        first[all[i]] = logits[row];
        if (!std::isfinite(highest.const_data_ptr<float>()[row]))
          sequences[all[i]]->note_failure(model, ids);
        sequences[all[i]]->late_have_run();
      }
    }
  }
  return at::stack(first);
}

}  // namespace elastikv
