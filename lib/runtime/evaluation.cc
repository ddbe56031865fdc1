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

/// Scores an answer's first token. `logits`: f32 [sequences, vocab], of each sequence. The
/// reference gets its first logits unless it has them.
Scores score_first_token(const std::vector<Sequence*>& sequences, const at::Tensor& logits,
                         int64_t token, ForcedReference& reference) {
  const size_t count = sequences.size();
  std::vector<bool> differs;
  differs.reserve(count);
  for (const Sequence* sequence : sequences) differs.push_back(sequence->begins_late());
  if (!reference.first.defined()) reference.first = logits.narrow(0, 0, 1).contiguous();
  if (std::none_of(differs.begin(), differs.end(), [](bool x) { return x; })) {
    // All come from the same prompt.
    const TokenScores one = score_token(logits.narrow(0, 0, 1).contiguous(), token);
    return {{std::vector<double>(count, one.nll[0]), std::vector<double>(count, 0.0)}, differs};
  }
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

/// One answer while it is scored.
class Forcing {
 public:
  /// Finds out which of the sequences can be run in chunks.
  Forcing(const LanguageModel& model, const ForcedAnswer& answer, const ForcedOptions& options)
      : model_(model),
        options_(options),
        sequences_(answer.sequences),
        answer_(answer.tokens),
        kept_(answer.reference) {
    ELASTIKV_ASSERT(!sequences_.empty() && !answer_.empty(), "nothing to score");
    scored_ = std::ssize(answer_) - (options.score_last_token ? 0 : 1);
    if (scored_ <= 0) return;
    fed_.assign(answer_.begin(), answer_.begin() + scored_ - 1);
    const bool given = kept_ != nullptr && kept_->defined();
    if (kept_ != nullptr) reference_ = *kept_;
    asked_for_ = kept_ != nullptr && !given;
    // Only with the reference's logits at hand can others be scored at all, so without its chunks
    // there are none.
    for (size_t i = 0; i < sequences_.size(); ++i) {
      const bool chunks = options.one_pass && steps() > 0 &&
                          (i == 0 || given || !foreseen_.empty()) &&
                          sequences_[i]->foresee(std::ssize(sequences_[i]->late().ids) + steps());
      (chunks ? foreseen_ : stepped_).push_back(i);
    }
  }

  /// Tokens that are fed to score those behind them.
  int64_t steps() const { return std::ssize(fed_); }
  bool scores_any() const { return scored_ > 0; }
  const std::vector<Sequence*>& sequences() const { return sequences_; }

  /// `logits`: f32 [sequences, vocab] that the first token is scored by.
  void begin(const at::Tensor& logits) {
    scores_.emplace(score_first_token(sequences_, logits, answer_[0], reference_));
  }

  void score_in_chunks() {
    for (size_t from = 0; from < foreseen_.size(); from += kSequencesTogether) {
      const std::vector<size_t> which(
          foreseen_.begin() + static_cast<std::ptrdiff_t>(from),
          foreseen_.begin() +
              static_cast<std::ptrdiff_t>(std::min(from + kSequencesTogether, foreseen_.size())));
      const bool more = !stepped_.empty() || which.size() < foreseen_.size();
      score_in_chunks(which, /*keep_reference=*/asked_for_ || more);
    }
    others_ = reference_.defined();
  }

  /// The sequences that are to be run over token `k` of the answer, if it has as many.
  std::vector<Sequence*> to_step(int64_t k) const {
    return k < steps() ? pick(sequences_, stepped_) : std::vector<Sequence*>();
  }
  int64_t token(int64_t k) const { return fed_[static_cast<size_t>(k)]; }

  /// `logits`: f32 [to_step, vocab], of those that were run over token `k`.
  void score_step(int64_t k, at::Tensor logits) {
    if (others_) {
      const int64_t place = k % kLogitRowsTogether;
      if (place == 0)
        block_ = logits_of(model_, reference_, k, std::min(kLogitRowsTogether, steps() - k));
      logits = at::cat({block_.narrow(0, place, 1), logits});
    } else if (asked_for_) {
      first_rows_.push_back(logits.narrow(0, 0, 1));
    }
    scores_->add(stepped_, /*with_reference=*/!others_, logits.contiguous(),
                 answer_[static_cast<size_t>(k + 1)]);
  }

  std::vector<ForcedScores> finish() {
    if (!scores_any()) return std::vector<ForcedScores>(sequences_.size());
    if (!first_rows_.empty()) reference_.logits = at::cat(first_rows_);
    if (asked_for_) *kept_ = reference_;
    return scores_->take(model_, sequences_, fed_);
  }

 private:
  /// Scores foreseen sequences over the answer in chunks of it. Without a reference the first one
  /// is that, and on request is kept.
  void score_in_chunks(const std::vector<size_t>& which, bool keep_reference) {
    const std::vector<Sequence*> batch = pick(sequences_, which);
    const auto rows = static_cast<int64_t>(batch.size());
    const int64_t scored_together = std::max<int64_t>(1, kLogitRowsTogether / rows);
    const bool given = reference_.defined();
    std::vector<at::Tensor> references;
    for (int64_t begin = 0; begin < steps(); begin += kTokensTogether) {
      const int64_t tokens = std::min(kTokensTogether, steps() - begin);
      // On a CPU one chunk of a large model takes minutes.
      const auto watch = [&](int64_t layer, int64_t layers) {
        if (options_.on_step) options_.on_step(begin + tokens * layer / layers, steps(), rows);
      };
      // Tokens outermost, so that a token's rows lie together.
      const std::span<const int64_t> chunk(fed_.data() + begin, static_cast<size_t>(tokens));
      const at::Tensor hidden = run_chunk(model_, batch, std::vector(batch.size(), chunk), watch)
                                    .transpose(0, 1)
                                    .contiguous();
      if (!given && keep_reference) references.push_back(hidden.select(1, 0).contiguous());
      for (int64_t t = 0; t < tokens; t += scored_together) {
        const int64_t count = std::min(scored_together, tokens - t);
        const at::Tensor logits = model_.logits(hidden.narrow(0, t, count).flatten(0, 1));
        at::Tensor of_reference;
        if (given) of_reference = logits_of(model_, reference_, begin + t, count);
        for (int64_t i = 0; i < count; ++i) {
          const at::Tensor of_token = logits.narrow(0, i * rows, rows);
          scores_->add(which, /*with_reference=*/!given,
                       given ? at::cat({of_reference.narrow(0, i, 1), of_token}) : of_token,
                       answer_[static_cast<size_t>(begin + t + i + 1)]);
        }
      }
    }
    if (!references.empty()) reference_.hidden = at::cat(references);
  }

  const LanguageModel& model_;
  const ForcedOptions& options_;
  std::vector<Sequence*> sequences_;
  const std::vector<int64_t>& answer_;
  ForcedReference* kept_;  // where it is looked for and left
  int64_t scored_ = 0;
  std::vector<int64_t> fed_;
  ForcedReference reference_;  // of this call, unless there is one
  bool asked_for_ = false;
  std::vector<size_t> foreseen_;
  std::vector<size_t> stepped_;
  std::optional<Scores> scores_;
  bool others_ = false;  // the reference is not one of those that are stepped
  std::vector<at::Tensor> first_rows_;
  at::Tensor block_;  // logits of the reference
};

}  // namespace

std::vector<std::vector<ForcedScores>> teacher_force(const LanguageModel& model,
                                                     const std::vector<ForcedAnswer>& answers,
                                                     const ForcedOptions& options) {
  std::vector<Forcing> all;
  all.reserve(answers.size());
  std::vector<Sequence*> begun;
  int64_t steps = 0;
  for (const ForcedAnswer& answer : answers) {
    const Forcing& one = all.emplace_back(model, answer, options);
    if (!one.scores_any()) continue;
    begun.insert(begun.end(), one.sequences().begin(), one.sequences().end());
    steps = std::max(steps, one.steps());
  }
  if (!begun.empty()) {
    const auto on_rows = [&](int64_t rows) {
      if (options.on_step) options.on_step(0, 1, rows);
    };
    const at::Tensor first = begin_answers(model, begun, on_rows, options.graphs);
    int64_t row = 0;
    for (Forcing& one : all) {
      if (!one.scores_any()) continue;
      const int64_t rows = std::ssize(one.sequences());
      one.begin(first.narrow(0, row, rows));
      row += rows;
      one.score_in_chunks();
    }
  }
  for (int64_t k = 0; k < steps; ++k) {
    std::vector<Sequence*> batch;
    std::vector<int64_t> tokens;
    std::vector<int64_t> rows;  // by answer
    for (const Forcing& one : all) {
      const std::vector<Sequence*> own = one.to_step(k);
      rows.push_back(std::ssize(own));
      batch.insert(batch.end(), own.begin(), own.end());
      if (!own.empty()) tokens.insert(tokens.end(), own.size(), one.token(k));
    }
    if (batch.empty()) continue;
    if (options.on_step) options.on_step(k, steps, std::ssize(batch));
    const at::Tensor logits = decode_step(model, batch, tokens, options.graphs);
    int64_t row = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      if (rows[i] > 0) all[i].score_step(k, logits.narrow(0, row, rows[i]));
      row += rows[i];
    }
  }
  std::vector<std::vector<ForcedScores>> scores;
  scores.reserve(all.size());
  for (Forcing& one : all) scores.push_back(one.finish());
  return scores;
}

std::vector<ForcedScores> teacher_force(const LanguageModel& model,
                                        const std::vector<Sequence*>& sequences,
                                        const std::vector<int64_t>& answer,
                                        const ForcedOptions& options) {
  return std::move(teacher_force(model, {{sequences, answer, options.reference}}, options).front());
}

}  // namespace elastikv
