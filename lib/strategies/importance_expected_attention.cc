#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/diag.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "base/error.h"
#include "strategies/components.h"
#include "strategies/importance.h"

namespace elastikv {
namespace {

/// Attention that queries to come are expected to pay (arXiv 2510.00636): with mu and S the mean
/// and covariance of the prompt's queries before rotation (without the first `sinks`), R the mean
/// rotation of the next `future` positions and d the head's size,
///   softmax over n of k_n . R mu / sqrt(d) + k_n^T R S R^T k_n / (2 d),
/// taken over the entries after the sinks, plus `epsilon`, times |v_n|. Sinks score highest.
class ExpectedAttentionImportance final : public Importance {
 public:
  struct Options {
    int64_t sinks;
    int64_t future;
    double epsilon;
  };

  ExpectedAttentionImportance(Ranking ranking, const Options& options)
      : ranking_(ranking), options_(options) {}

  StatisticsRequest needs() const override {
    return {.prefill = {.query_moments = {options_.sinks}}, .keys = true, .values = true};
  }
  Granularity granularity() const override { return ranking_.granularity(); }

  std::vector<at::Tensor> scores(const PromptStatistics& prompt) const override {
    const at::Tensor rotation = mean_rotation(prompt);
    const int64_t group = prompt.query_heads / prompt.kv_heads;
    const int64_t sinks = std::min(options_.sinks, prompt.prompt_tokens);
    const int64_t others = prompt.prompt_tokens - sinks;
    std::vector<at::Tensor> per_head;
    std::vector<at::Tensor> value_norms;
    for (const LayerStatistics& layer : prompt.layers) {
      const QueryMoments& moments = layer.query_moments.at(options_.sinks);
      const auto size = static_cast<double>(layer.keys.size(2));
      const at::Tensor mean = at::matmul(moments.mean, rotation.t());
      const at::Tensor covariance =
          at::matmul(rotation, at::matmul(moments.covariance, rotation.t()));
      const at::Tensor keys =
          layer.keys.narrow(1, sinks, others).repeat_interleave(group, /*dim=*/0);
      const at::Tensor logits = at::matmul(keys, mean.unsqueeze(-1)).squeeze(-1) / std::sqrt(size) +
                                (at::matmul(keys, covariance) * keys).sum(-1) / (2.0 * size);
      const at::Tensor scores = logits.softmax(-1) + options_.epsilon;
      per_head.push_back(scores);
      value_norms.push_back(norms(layer.values.narrow(1, sinks, others)));
    }
    std::vector<at::Tensor> reduced = ranking_.reduce(std::move(per_head), prompt.kv_heads);
    for (size_t layer = 0; layer < reduced.size(); ++layer) {
      const int64_t groups = reduced[layer].size(0);
      const at::Tensor norm =
          value_norms[layer].reshape({groups, prompt.kv_heads / groups, others}).mean(1);
      const at::Tensor scores = reduced[layer] * norm;
      const at::Tensor highest = at::zeros({groups, sinks}, scores.options())
                                     .fill_(others > 0 ? scores.max().item<double>() + 1.0 : 1.0);
      reduced[layer] = at::cat({highest, scores}, 1);
    }
    return reduced;
  }

  std::string description() const override {
    return fmt::format("expected_attention({},sinks={},future={},epsilon={})",
                       ranking_.description(), options_.sinks, options_.future, options_.epsilon);
  }

 private:
  /// The mean of the rotation matrices of the positions after the prompt, f32 [d, d].
  at::Tensor mean_rotation(const PromptStatistics& prompt) const {
    const at::Tensor& frequencies = prompt.rotary_frequencies;
    if (!frequencies.defined()) {
      fail("expected_attention needs a model with rotary position embeddings");
    }
    const int64_t next = prompt.prompt_tokens + prompt.position_delta;
    const at::Tensor positions = at::arange(next, next + options_.future, at::kDouble);
    const at::Tensor angles = positions.unsqueeze(1) * frequencies.unsqueeze(0);
    const at::Tensor cos = at::diag(angles.cos().mean(0));
    const at::Tensor sin = at::diag(angles.sin().mean(0));
    return at::cat({at::cat({cos, -sin}, 1), at::cat({sin, cos}, 1)}, 0).to(at::kFloat);
  }

  Ranking ranking_;
  Options options_;
};

}  // namespace

std::shared_ptr<const Importance> make_expected_attention_importance(const Parameters& parameters) {
  parameters.require_known(Ranking::names({"sinks", "future", "epsilon"}));
  return std::make_shared<ExpectedAttentionImportance>(
      Ranking::read(parameters, Granularity::kKvHead),
      ExpectedAttentionImportance::Options{
          .sinks = parameters.integer("sinks", /*otherwise=*/4, /*least=*/0),
          .future = parameters.integer("future", /*otherwise=*/512, /*least=*/1),
          .epsilon = parameters.number("epsilon", /*otherwise=*/0.0, 0.0, 1.0)});
}

}  // namespace elastikv
