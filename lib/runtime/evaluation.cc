#include "runtime/evaluation.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include <ATen/ops/cat.h>

#include "base/error.h"
#include "kernels/token_scores.h"
#include "runtime/late_tokens.h"

namespace elastikv {
namespace {

/// Scores as they come in, per sequence.
class Scores {
 public:
  /// `first`: of each sequence's first token. `first_differs`: [sequences], whose came from a
  /// compressed cache, so that its divergence counts.
  Scores(const TokenScores& first, std::vector<bool> first_differs)
      : scores_(first.nll.size()),
        kl_(first.nll.size(), 0.0),
        first_differs_(std::move(first_differs)) {
    for (size_t i = 0; i < scores_.size(); ++i) {
      scores_[i].nll.push_back(first.nll[i]);
      if (first_differs_[i]) kl_[i] = first.kl[i];
    }
  }

  /// Scores the given sequences' logits of one token; row 0 is the reference's, which counts only
  /// if it is among the `sequences`. A device is not waited for.
  void add(const std::vector<size_t>& sequences, bool with_reference, const at::Tensor& logits,
           int64_t target) {
    if (logits.is_cpu()) {
      count(sequences, with_reference, score_token(logits, target));
    } else {
      pending_.push_back({sequences, with_reference, reference::token_scores(logits, target)});
    }
  }

  /// `fed`: what `sequences` were run over.
  std::vector<ForcedScores> take(const LanguageModel& model,
                                 const std::vector<Sequence*>& sequences,
                                 const std::vector<int64_t>& fed) {
    count_pending();
    for (size_t r = 0; r < scores_.size(); ++r) {
      const std::vector<double>& nll = scores_[r].nll;
      if (!std::all_of(nll.begin(), nll.end(), [](double x) { return std::isfinite(x); })) {
        sequences[r]->note_failure(model, fed);
        scores_[r].failure = sequences[r]->failure();
      }
      const size_t compared = scores_[r].nll.size() - (first_differs_[r] ? 0 : 1);
      if (compared > 0) scores_[r].mean_kl = kl_[r] / static_cast<double>(compared);
    }
    return std::move(scores_);
  }

 private:
  /// Scores that the device may still be computing.
  struct Pending {
    std::vector<size_t> sequences;
    bool with_reference;
    at::Tensor scores;  // f64 [2, rows]
  };

  void count(const std::vector<size_t>& sequences, bool with_reference, const TokenScores& token) {
    for (size_t i = 0; i < sequences.size(); ++i) {
      const size_t row = with_reference ? i : i + 1;
      scores_[sequences[i]].nll.push_back(token.nll[row]);
      kl_[sequences[i]] += token.kl[row];
    }
  }

  void count_pending() {
    if (pending_.empty()) return;
    std::vector<at::Tensor> scores;
    scores.reserve(pending_.size());
    for (const Pending& token : pending_) scores.push_back(token.scores.flatten());
    const at::Tensor all = at::cat(scores).cpu();
    const auto* score = all.const_data_ptr<double>();
    for (const Pending& token : pending_) {
      const int64_t rows = token.scores.size(1);
      count(token.sequences, token.with_reference,
            {{score, score + rows}, {score + rows, score + 2 * rows}});
      score += 2 * rows;
    }
    pending_.clear();
  }

  std::vector<ForcedScores> scores_;
  std::vector<double> kl_;
  std::vector<bool> first_differs_;
  std::vector<Pending> pending_;
};

std::vector<Sequence*> pick(const std::vector<Sequence*>& sequences,
                            const std::vector<size_t>& which) {
  std::vector<Sequence*> picked;
  picked.reserve(which.size());
  for (const size_t i : which) picked.push_back(sequences[i]);
  return picked;
}

/// Runs what comes before the answer, and scores its first token. The reference gets its first
/// logits unless it has them.
Scores score_first_token(const LanguageModel& model, const EncodedPrompt& prompt,
                         const std::vector<Sequence*>& sequences, int64_t token,
                         const ForcedOptions& options, ForcedReference& reference) {
  const size_t count = sequences.size();
  if (!any_late(sequences)) {
    const at::Tensor logits = prompt.logits.unsqueeze(0).contiguous();
    if (!reference.first.defined()) reference.first = logits;
    const TokenScores one = score_token(logits, token);
    return {{std::vector<double>(count, one.nll[0]), std::vector<double>(count, 0.0)},
            std::vector<bool>(count, false)};
  }
  std::vector<bool> differs;
  differs.reserve(count);
  for (const Sequence* sequence : sequences) differs.push_back(!sequence->late().ids.empty());
  const auto on_rows = [&](int64_t rows) {
    if (options.on_step) options.on_step(0, 1, rows);
  };
  const at::Tensor logits = begin_answers(model, prompt, sequences, on_rows, options.graphs);
  if (!reference.first.defined()) reference.first = logits.narrow(0, 0, 1).contiguous();
  TokenScores all = score_token(at::cat({reference.first, logits}), token);
  all.nll.erase(all.nll.begin());
  all.kl.erase(all.kl.begin());
  return {all, differs};
}

/// f32 [count, vocab] of the reference from step `begin` on.
at::Tensor logits_of(const LanguageModel& model, const ForcedReference& reference, int64_t begin,
                     int64_t count) {
  if (reference.logits.defined()) return reference.logits.narrow(0, begin, count);
  return model.logits(reference.hidden.narrow(0, begin, count));
}

/// Scores foreseen sequences over the answer in chunks of it. Without a reference the first one is
/// that, and on request becomes `reference`.
void score_in_chunks(const LanguageModel& model, const std::vector<Sequence*>& sequences,
                     const std::vector<size_t>& which, const std::vector<int64_t>& answer,
                     const std::vector<int64_t>& fed, const ForcedOptions& options,
                     ForcedReference& reference, bool keep_reference, Scores& scores) {
  const std::vector<Sequence*> batch = pick(sequences, which);
  const auto rows = static_cast<int64_t>(batch.size());
  const auto steps = static_cast<int64_t>(fed.size());
  const int64_t scored_together = std::max<int64_t>(1, kLogitRowsTogether / rows);
  const bool given = reference.defined();
  std::vector<at::Tensor> references;
  for (int64_t begin = 0; begin < steps; begin += kTokensTogether) {
    const int64_t tokens = std::min(kTokensTogether, steps - begin);
    // On a CPU one chunk of a large model takes minutes.
    const auto watch = [&](int64_t layer, int64_t layers) {
      if (options.on_step) options.on_step(begin + tokens * layer / layers, steps, rows);
    };
    // Tokens outermost, so that a token's rows lie together.
    const std::span<const int64_t> chunk(fed.data() + begin, static_cast<size_t>(tokens));
    const at::Tensor hidden = run_chunk(model, batch, std::vector(batch.size(), chunk), watch)
                                  .transpose(0, 1)
                                  .contiguous();
    if (!given && keep_reference) references.push_back(hidden.select(1, 0).contiguous());
    for (int64_t t = 0; t < tokens; t += scored_together) {
      const int64_t count = std::min(scored_together, tokens - t);
      const at::Tensor logits = model.logits(hidden.narrow(0, t, count).flatten(0, 1));
      at::Tensor of_reference;
      if (given) of_reference = logits_of(model, reference, begin + t, count);
      for (int64_t i = 0; i < count; ++i) {
        const at::Tensor of_token = logits.narrow(0, i * rows, rows);
        scores.add(which, /*with_reference=*/!given,
                   given ? at::cat({of_reference.narrow(0, i, 1), of_token}) : of_token,
                   answer[static_cast<size_t>(begin + t + i + 1)]);
      }
    }
  }
  if (!references.empty()) reference.hidden = at::cat(references);
}

}  // namespace

std::vector<ForcedScores> teacher_force(const LanguageModel& model, const EncodedPrompt& prompt,
                                        const std::vector<Sequence*>& sequences,
                                        const std::vector<int64_t>& answer,
                                        const ForcedOptions& options) {
  ELASTIKV_ASSERT(!sequences.empty() && !answer.empty(), "nothing to score");
  const auto scored = static_cast<int64_t>(answer.size()) - (options.score_last_token ? 0 : 1);
  if (scored <= 0) return std::vector<ForcedScores>(sequences.size());
  const std::vector<int64_t> fed(answer.begin(), answer.begin() + scored - 1);
  const auto steps = static_cast<int64_t>(fed.size());

  ForcedReference reference;  // of this call, unless there is one
  const bool given = options.reference != nullptr && options.reference->defined();
  if (options.reference != nullptr) reference = *options.reference;
  const bool asked_for = options.reference != nullptr && !given;

  // Only with the reference's logits at hand can others be scored at all, so without its chunks
  // there are none.
  std::vector<size_t> foreseen;
  std::vector<size_t> stepped;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const bool chunks = options.one_pass && steps > 0 && (i == 0 || given || !foreseen.empty()) &&
                        sequences[i]->foresee(std::ssize(sequences[i]->late().ids) + steps);
    (chunks ? foreseen : stepped).push_back(i);
  }
  Scores scores = score_first_token(model, prompt, sequences, answer[0], options, reference);

  for (size_t from = 0; from < foreseen.size(); from += kSequencesTogether) {
    const std::vector<size_t> which(
        foreseen.begin() + static_cast<std::ptrdiff_t>(from),
        foreseen.begin() +
            static_cast<std::ptrdiff_t>(std::min(from + kSequencesTogether, foreseen.size())));
    const bool more = !stepped.empty() || which.size() < foreseen.size();
    score_in_chunks(model, sequences, which, answer, fed, options, reference,
                    /*keep_reference=*/asked_for || more, scores);
  }

  const std::vector<Sequence*> batch = pick(sequences, stepped);
  const bool others = reference.defined();  // the reference is not one of the batch
  std::vector<at::Tensor> first_rows;
  at::Tensor block;  // logits of the reference
  for (int64_t k = 0; k < steps && !batch.empty(); ++k) {
    if (options.on_step) options.on_step(k, steps, static_cast<int64_t>(batch.size()));
    const std::vector<int64_t> tokens(batch.size(), fed[static_cast<size_t>(k)]);
    at::Tensor logits = decode_step(model, batch, tokens, options.graphs);
    if (others) {
      const int64_t place = k % kLogitRowsTogether;
      if (place == 0)
        block = logits_of(model, reference, k, std::min(kLogitRowsTogether, steps - k));
      logits = at::cat({block.narrow(0, place, 1), logits});
    } else if (asked_for) {
      first_rows.push_back(logits.narrow(0, 0, 1));
    }
    scores.add(stepped, /*with_reference=*/!others, logits.contiguous(),
               answer[static_cast<size_t>(k + 1)]);
  }
  if (!first_rows.empty()) reference.logits = at::cat(first_rows);
  if (asked_for) *options.reference = reference;
  return scores.take(model, sequences, fed);
}

}  // namespace elastikv
