#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "metrics/metric.h"

namespace elastikv {

/// Which of an answer's tokens count. Elastic Cache's released evaluation never scores the last
/// one, so an answer of one token adds nothing there.
enum class ScoredTokens {
  kAll,
  kAllButLast,
  kAllAndEnd,  // and the token that ends the model's turn, which is appended to the answer
};

/// Perplexity of the expected answers over all scored tokens of all samples (micro): exp(sum of NLL
/// / sum of tokens). Without a value when no token was scored, and when any sample's NLL is not
/// finite: such a cell has failed, and leaving the sample out would flatter it.
///
/// The first token of an answer is scored by the uncompressed prompt's own logits, so that an
/// answer of one scored token is the same to every strategy: such answers are left out of paired
/// differences, which are of the perplexities' logarithms.
class Perplexity final : public Metric {
 public:
  explicit Perplexity(ScoredTokens scored);

  /// A measurement's values are NLL in nats, its weights numbers of tokens. More: scored tokens;
  /// the mean over samples of exp(NLL / tokens) (macro); NLL per token; bits per token; answers
  /// with one scored token.
  Measurement measure(std::span<const MeasuredSample> samples, const Clusters& clusters,
                      const Bootstrap& bootstrap) const override;
  /// Error when the two scored different numbers of tokens of the same answers.
  std::optional<PairedValues> pairs(const MeasuredCell& a, const MeasuredCell& b) const override;
  /// Papers state differences of perplexities, not of their logarithms, and of all answers.
  std::optional<PairedDifference> printed_difference(const MeasuredCell& a, const MeasuredCell& b,
                                                     const Bootstrap& bootstrap) const override;

  std::vector<std::string> notes(std::span<const MeasuredCell> cells) const override;
  std::string difference_note(const Measurement& any_cell) const override;
  std::string category_note(
      std::span<const std::pair<std::string, const Measurement*>> categories) const override;
  std::string unmoved(const Measurement& any_cell) const override;
  std::string amount(const Measurement& any_cell) const override;

 private:
  std::string signature_of(const SignatureContext& context) const override;

  ScoredTokens scored_;
};

}  // namespace elastikv
