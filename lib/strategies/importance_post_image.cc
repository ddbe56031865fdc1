#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <fmt/format.h>

#include "strategies/components.h"
#include "strategies/importance.h"

namespace elastikv {
namespace {

/// Attention that the text after the image pays to an entry, summed over its rows (VL-Cache,
/// arXiv 2410.23317). `weights: text` weighs each row by how much the text itself attends to its
/// token (TGV-KV, arXiv 2606.03075): the token's column over those rows, averaged over heads and
/// divided by the rows that can see it.
class PostImageImportance final : public Importance {
 public:
  PostImageImportance(Ranking ranking, bool text_weights)
      : ranking_(ranking), text_weights_(text_weights) {}

  StatisticsRequest needs() const override { return {.post_image_rows = true}; }
  Granularity granularity() const override { return ranking_.granularity(); }

  std::vector<at::Tensor> scores(const PromptStatistics& prompt) const override {
    std::vector<at::Tensor> per_head;
    per_head.reserve(prompt.layers.size());
    for (const LayerStatistics& layer : prompt.layers) {
      const at::Tensor rows = post_image_rows(prompt, layer);
      per_head.push_back((text_weights_ ? rows * text_weights(prompt, rows) : rows).sum(1));
    }
    return ranking_.reduce(std::move(per_head), prompt.kv_heads);
  }

  std::string description() const override {
    return fmt::format("post_image({},weights={})", ranking_.description(),
                       text_weights_ ? "text" : "uniform");
  }

 private:
  /// f32 [1, rows, 1].
  static at::Tensor text_weights(const PromptStatistics& prompt, const at::Tensor& rows) {
    const int64_t count = rows.size(1);
    const at::Tensor columns = rows.narrow(2, prompt.image_end, count).mean(0).sum(0);
    return (columns / at::arange(count, 0, -1, columns.options())).view({1, count, 1});
  }

  Ranking ranking_;
  bool text_weights_;
};

}  // namespace

std::shared_ptr<const Importance> make_post_image_importance(const Parameters& parameters) {
  parameters.require_known(Ranking::names({"weights"}));
  return std::make_shared<PostImageImportance>(
      Ranking::read(parameters, Granularity::kKvHead),
      parameters.choice("weights", "uniform", {"uniform", "text"}) == "text");
}

}  // namespace elastikv
