#include <algorithm>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/importance.h"

namespace elastikv {
namespace {

/// lambda I - (1 - lambda) R (R-KV, arXiv 2505.24133): an importance I against the redundancy R of
/// an entry's key, the softmax over entries of its mean cosine with all keys. Of the keys that
/// resemble key i by more than `threshold` the last does not count as its double, so that the most
/// recent of a run of near-duplicates stays.
class RedundancyImportance final : public Importance {
 public:
  RedundancyImportance(std::shared_ptr<const Importance> base, double lambda, double threshold)
      : base_(std::move(base)), lambda_(lambda), threshold_(threshold) {}

  StatisticsRequest needs() const override {
    StatisticsRequest request = base_->needs();
    request.keys = true;
    return request;
  }
  Granularity granularity() const override { return base_->granularity(); }

  std::vector<at::Tensor> scores(const PromptStatistics& prompt) const override {
    std::vector<at::Tensor> scores = base_->scores(prompt);
    for (size_t layer = 0; layer < scores.size(); ++layer) {
      const int64_t groups = scores[layer].size(0);
      const at::Tensor redundant = redundancy(prompt.layers[layer].keys);
      scores[layer] =
          scores[layer] * lambda_ -
          redundant.reshape({groups, redundant.size(0) / groups, -1}).mean(1) * (1.0 - lambda_);
    }
    return scores;
  }

  std::string description() const override {
    return fmt::format("redundancy(base={},lambda={},threshold={})", base_->description(), lambda_,
                       threshold_);
  }

 private:
  /// f32 [kv_heads, tokens] of keys [kv_heads, tokens, head_dim].
  at::Tensor redundancy(const at::Tensor& keys) const {
    constexpr double kLeast = 1e-8;  // of a length that divides
    const at::Tensor directions = keys / norms(keys).unsqueeze(-1).add(kLeast);
    const int64_t tokens = keys.size(1);
    const at::Tensor columns = at::arange(tokens, at::kLong);
    at::Tensor sums = at::zeros({keys.size(0), tokens}, at::kFloat);
    // Blocks of rows, so that a tokens x tokens matrix is never held.
    constexpr int64_t kBlock = 256;
    for (int64_t begin = 0; begin < tokens; begin += kBlock) {
      const int64_t rows = std::min(kBlock, tokens - begin);
      at::Tensor cosines =
          at::matmul(directions.narrow(1, begin, rows), directions.transpose(1, 2));
      cosines.masked_fill_(columns.narrow(0, begin, rows).unsqueeze(1) == columns, 0.0);
      // The last similar column of a row; column 0 when there is none, as in the released code.
      const at::Tensor last =
          (cosines.gt(threshold_).to(at::kLong) * columns).amax(-1, /*keepdim=*/true);
      cosines.scatter_(-1, last, 0.0);
      sums.add_(cosines.sum(1));
    }
    return sums.div_(static_cast<double>(tokens)).softmax(-1);
  }

  std::shared_ptr<const Importance> base_;
  double lambda_;
  double threshold_;
};

}  // namespace

std::shared_ptr<const Importance> make_redundancy_importance(const Parameters& parameters) {
  parameters.require_known({"base", "lambda", "threshold"});
  return std::make_shared<RedundancyImportance>(
      make_importance(parameters.child("base")), parameters.share("lambda", 0.1),
      parameters.number("threshold", /*otherwise=*/0.5, -1.0, 1.0));
}

}  // namespace elastikv
