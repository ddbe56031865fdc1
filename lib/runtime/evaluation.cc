#include "runtime/evaluation.h"

#include "base/error.h"
#include "kernels/token_scores.h"

namespace elastikv {

std::vector<ForcedScores> teacher_force(const LanguageModel& model, const EncodedPrompt& prompt,
                                        const std::vector<Sequence*>& sequences,
                                        const std::vector<int64_t>& answer,
                                        const ForcedOptions& options) {
  ELASTIKV_ASSERT(!sequences.empty() && !answer.empty(), "nothing to score");
  std::vector<ForcedScores> scores(sequences.size());
  const auto scored = static_cast<int64_t>(answer.size()) - (options.score_last_token ? 0 : 1);
  if (scored <= 0) return scores;
  const TokenScores first = score_token(prompt.logits.unsqueeze(0).contiguous(), answer[0]);
  for (ForcedScores& score : scores) score.nll.push_back(first.nll[0]);

  std::vector<double> kl(sequences.size(), 0.0);
  for (int64_t k = 1; k < scored; ++k) {
    if (options.should_stop && options.should_stop()) return {};
    const std::vector<int64_t> fed(sequences.size(), answer[static_cast<size_t>(k - 1)]);
    const TokenScores step = score_token(decode_step(model, sequences, fed).contiguous(),
                                         answer[static_cast<size_t>(k)]);
    for (size_t r = 0; r < sequences.size(); ++r) {
      scores[r].nll.push_back(step.nll[r]);
      kl[r] += step.kl[r];
    }
  }
  for (size_t r = 0; r < sequences.size(); ++r) {
    if (scored > 1) scores[r].mean_kl = kl[r] / static_cast<double>(scored - 1);
  }
  return scores;
}

}  // namespace elastikv
