#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "models/language_model.h"
#include "runtime/prompt_encoder.h"
#include "runtime/sequence.h"

namespace elastikv {

/// Tokens of an answer that teacher_force runs in one pass. A fixed number: sums over the slots of
/// a cache must not depend on how many sequences run together.
constexpr int64_t kTokensTogether = 64;
/// Rows of activations that it sends through the linear layers together: enough for the matrix
/// products to run at their best, few enough that activations stay small beside the weights.
constexpr int64_t kRowsTogether = 2048;
/// Sequences that run together by chunks of kTokensTogether.
constexpr auto kSequencesTogether = static_cast<size_t>(kRowsTogether / kTokensTogether);
/// Rows of logits that it holds at a time, where it has no more sequences.
constexpr int64_t kLogitRowsTogether = 64;

/// Teacher-forced scores of one sequence over an answer.
struct ForcedScores {
  std::vector<double> nll;  ///< nats per scored token: -log p(answer[k])
  /// Mean over the scored tokens of KL(reference || sequence) in nats; without the first one where
  /// that comes from the uncompressed prefill, whose distribution is the same for all. 0 for the
  /// reference itself; absent where no token is left.
  std::optional<double> mean_kl;
  /// Why a score is not finite (Sequence::failure); empty where all are.
  std::string failure;
};

/// What the reference of the KL made of the answer, for sequences that run after it.
struct ForcedReference {
  at::Tensor first;   ///< f32 [1, vocab], of the answer's first token
  at::Tensor hidden;  ///< [steps, hidden], of one that ran in chunks
  at::Tensor logits;  ///< f32 [steps, vocab], of one that ran step by step

  bool defined() const { return hidden.defined() || logits.defined(); }
};

struct ForcedOptions {
  /// The released evaluation of the Elastic Cache paper never scores the last answer token; true
  /// scores it.
  bool score_last_token = true;
  /// Runs sequences that know beforehand what they evict as one masked pass over the answer
  /// instead of token by token; the scores are the same up to rounding.
  bool one_pass = true;
  /// Undefined ones are filled with what sequences[0] gives, defined ones are the reference in its
  /// place. Null: sequences[0] is the reference of this call alone.
  ForcedReference* reference = nullptr;
  /// Called before every step, and before each layer of a chunk, with the tokens that are scored,
  /// all that will be, and the sequences that run together; of a chunk as many tokens as its layers
  /// make of it. What it throws ends the call.
  std::function<void(int64_t done, int64_t of, int64_t rows)> on_step;
  /// As in LanguageModel::decode.
  DecodeGraphs* graphs = nullptr;
};

/// Feeds the answer through all sequences as one batch (the paper's protocol): token 0 is scored by
/// the prompt's own logits, or by what the last late token of a sequence made of its compressed
/// cache; token k by what token k - 1 made of it. sequences[0] is the reference of the KL, unless
/// the options give one. See score_token for the numerics.
std::vector<ForcedScores> teacher_force(const LanguageModel& model,
                                        const std::vector<Sequence*>& sequences,
                                        const std::vector<int64_t>& answer,
                                        const ForcedOptions& options);

/// An answer and what it is fed to.
struct ForcedAnswer {
  std::vector<Sequence*> sequences;
  const std::vector<int64_t>& tokens;
  /// As ForcedOptions::reference, in whose place it is.
  ForcedReference* reference = nullptr;
};

/// The same of several answers, of one or several prompts each: what is run token by token is run
/// as one batch, and so are all late tokens. Scores of each answer, equal to those of it alone as
/// far as a batch's rows do not depend on each other.
std::vector<std::vector<ForcedScores>> teacher_force(const LanguageModel& model,
                                                     const std::vector<ForcedAnswer>& answers,
                                                     const ForcedOptions& options);

}  // namespace elastikv
