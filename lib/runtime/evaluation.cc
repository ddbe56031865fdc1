#include "runtime/evaluation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>

#include "base/error.h"

namespace elastikv {

std::vector<ForcedScores> teacher_force(const LanguageModel& model, const EncodedPrompt& prompt,
                                        const std::vector<Sequence*>& sequences,
                                        const std::vector<int64_t>& answer,
                                        const ForcedOptions& options) {
  ELASTIKV_ASSERT(!sequences.empty() && !answer.empty(), "nothing to score");
  std::vector<ForcedScores> scores(sequences.size());
  const auto scored = static_cast<int64_t>(answer.size()) - (options.score_last_token ? 0 : 1);
  if (scored <= 0) return scores;
  const double first = -at::log_softmax(prompt.logits, -1)[answer[0]].item<double>();
  for (ForcedScores& score : scores) score.nll.push_back(first);

  std::vector<double> kl(sequences.size(), 0.0);
  for (int64_t k = 1; k < scored; ++k) {
    if (options.should_stop && options.should_stop()) return {};
    const std::vector<int64_t> fed(sequences.size(), answer[static_cast<size_t>(k - 1)]);
    const at::Tensor log_p = at::log_softmax(decode_step(model, sequences, fed), -1);
    const at::Tensor nll = log_p.select(1, answer[static_cast<size_t>(k)]).neg().cpu();
    for (size_t r = 0; r < sequences.size(); ++r) {
      scores[r].nll.push_back(static_cast<double>(nll.const_data_ptr<float>()[r]));
    }
    if (options.kl && sequences.size() > 1) {
      const at::Tensor reference = log_p[0];
      const at::Tensor others = log_p.narrow(0, 1, log_p.size(0) - 1);
      const at::Tensor divergence =
          (reference.exp() * (reference - others)).sum(-1, false, at::kDouble).cpu();
      for (size_t r = 1; r < sequences.size(); ++r)
        kl[r] += divergence.const_data_ptr<double>()[r - 1];
    }
  }
  for (size_t r = 0; r < sequences.size(); ++r) {
    if (scored > 1) scores[r].mean_kl = kl[r] / static_cast<double>(scored - 1);
  }
  return scores;
}

}  // namespace elastikv
