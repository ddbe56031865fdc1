#include "kernels/merge.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>

#include "base/error.h"

namespace elastikv::reference {

at::Tensor gather_and_merge(const at::Tensor& x, const MergeRows& rows) {
  at::Tensor gathered = at::index_select(x, 1, rows.kept.to(x.device()));
  const bool merges = rows.source.defined() && rows.source.numel() > 0;
  const bool scales = !rows.mean && rows.anchor_weight.defined();
  if (!merges && !scales) return gathered;
  const auto float_options = x.options().dtype(at::kFloat);
  at::Tensor sums = gathered.to(at::kFloat);
  at::Tensor totals = rows.anchor_weight.defined()
                          ? rows.anchor_weight.to(float_options.device()).clone()
                          : at::ones({rows.kept.size(0)}, float_options);
  if (rows.anchor_weight.defined()) sums = sums * totals.view({1, -1, 1});
  if (!merges) return sums.to(x.scalar_type());

  ELASTIKV_ASSERT(rows.anchor.defined() && rows.anchor.sizes() == rows.source.sizes(),
                  "every source needs an anchor");
  // index_add walks the sources in order. In fp32.
  const at::Tensor anchor = rows.anchor.to(x.device());
  at::Tensor sources = at::index_select(x, 1, rows.source.to(x.device())).to(at::kFloat);
  if (rows.turns.defined()) {
    ELASTIKV_ASSERT(rows.rotary != nullptr, "keys are to be turned without a rotary table");
    sources = rows.rotary->turn_by(sources, rows.turns.to(x.device()));
  }
  const at::Tensor weights = rows.source_weight.defined()
                                 ? rows.source_weight.to(float_options.device())
                                 : at::ones({rows.source.size(0)}, float_options);
  if (rows.source_weight.defined()) sources = sources * weights.view({1, -1, 1});
  sums = sums.index_add(1, anchor, sources);
  if (!rows.mean) return sums.to(x.scalar_type());
  const at::Tensor own = totals.clone();
  totals.index_add_(0, anchor, weights);
  const at::Tensor means = (sums / totals.view({1, -1, 1})).to(x.scalar_type());
  const at::Tensor alone = (totals == own).view({1, -1, 1});
  return at::where(alone, gathered, means);
}

}  // namespace elastikv::reference
