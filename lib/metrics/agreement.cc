#include "metrics/agreement.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"

namespace elastikv {
namespace {

class AgreementScorer final : public Scorer {
 public:
  AgreementScorer()
      : Scorer("agreement", "",
               {{"first_divergence", ScoreField::Kind::kInteger},
                {"match_rate", ScoreField::Kind::kNumber},
                {"identical", ScoreField::Kind::kTruth},
                {"matching_tokens", ScoreField::Kind::kInteger},
                {"reference_tokens", ScoreField::Kind::kInteger},
                {"candidate_tokens", ScoreField::Kind::kInteger}},
               /*of_full=*/false) {}

  Score score(const ScoreInput& input) const override {
    const Agreement agreement = compare_tokens(input.full.token_ids, input.output.token_ids);
    return {static_cast<double>(agreement.first_divergence),
            agreement.match_rate,
            agreement.identical ? 1.0 : 0.0,
            static_cast<double>(agreement.matching_tokens),
            static_cast<double>(agreement.reference_tokens),
            static_cast<double>(agreement.candidate_tokens)};
  }
};

/// The mean of a member of Agreement.
class AgreementMean final : public MeanMetric {
 public:
  /// `place` and `field`: of the number among a sample's scores.
  AgreementMean(MetricTraits traits, std::string definition, size_t place, size_t field)
      : MeanMetric(std::move(traits)),
        definition_(std::move(definition)),
        place_(place),
        field_(field) {}

 private:
  std::string signature_of(const SignatureContext& context) const override {
    return metric_signature(traits().name, definition_, "mean", context);
  }
  std::optional<double> value(const MeasuredSample& sample) const override {
    const Score* score = sample.score(place_);
    if (score == nullptr) return std::nullopt;
    return (*score)[field_];
  }

  std::string definition_;
  size_t place_;
  size_t field_;
};

}  // namespace

Agreement compare_tokens(std::span<const int64_t> reference, std::span<const int64_t> candidate) {
  const size_t shorter = std::min(reference.size(), candidate.size());
  const size_t longer = std::max(reference.size(), candidate.size());
  Agreement result;
  result.reference_tokens = static_cast<int64_t>(reference.size());
  result.candidate_tokens = static_cast<int64_t>(candidate.size());
  const auto end = reference.begin() + static_cast<std::ptrdiff_t>(shorter);
  result.first_divergence =
      std::mismatch(reference.begin(), end, candidate.begin()).first - reference.begin();
  for (size_t i = 0; i < shorter; ++i)
    result.matching_tokens += reference[i] == candidate[i] ? 1 : 0;
  result.identical = result.matching_tokens == static_cast<int64_t>(longer);
  result.match_rate =
      longer == 0 ? 1 : static_cast<double>(result.matching_tokens) / static_cast<double>(longer);
  return result;
}

MetricTraits agreement_traits(std::string name, std::string title, std::string label) {
  MetricTraits traits;
  traits.short_title = name;
  traits.difference_name = name;
  traits.difference_title = name;
  traits.name = std::move(name);
  traits.title = std::move(title);
  traits.label = std::move(label);
  traits.reference = "full-cache";
  traits.full_row = false;
  traits.in_summary = false;
  traits.in_pairs = false;
  return traits;
}

void add_agreement_mean(MetricTraits traits, std::string definition, MetricSet& set) {
  const auto scorer = std::make_shared<AgreementScorer>();
  const std::vector<ScoreField>& fields = scorer->fields();
  const auto field = std::find_if(fields.begin(), fields.end(),
                                  [&](const ScoreField& one) { return one.key == traits.name; });
  ELASTIKV_ASSERT(field != fields.end(), "agreement has no {}", traits.name);
  const size_t place = set.add(scorer);
  set.add(std::make_shared<AgreementMean>(std::move(traits), std::move(definition), place,
                                          static_cast<size_t>(field - fields.begin())));
}

}  // namespace elastikv
