#include "kernels/merge.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>

#include "base/error.h"

namespace elastikv {

at::Tensor gather_and_merge(const at::Tensor& x, const at::Tensor& kept, const at::Tensor& source,
                            const at::Tensor& anchor, const at::Tensor& source_weight,
                            const at::Tensor& anchor_weight) {
  const at::Tensor kept_here = kept.to(x.device());
  at::Tensor gathered = at::index_select(x, 1, kept_here);
  if (!source.defined() || source.numel() == 0) return gathered;
  ELASTIKV_ASSERT(anchor.defined() && anchor.sizes() == source.sizes(),
                  "every source needs an anchor");
  // index_add walks the sources in order on the CPU; on CUDA it is made deterministic by sorting,
  // which the order of anchors (ascending, from strategies) keeps equal. Both add in fp32.
  const auto float_options = x.options().dtype(at::kFloat);
  const at::Tensor source_here = source.to(x.device());
  const at::Tensor anchor_here = anchor.to(x.device());
  at::Tensor sources = at::index_select(x, 1, source_here).to(at::kFloat);
  at::Tensor sums = gathered.to(at::kFloat);
  at::Tensor totals = anchor_weight.defined() ? anchor_weight.to(float_options.device()).clone()
                                              : at::ones({kept.size(0)}, float_options);
  const at::Tensor weights = source_weight.defined() ? source_weight.to(float_options.device())
                                                     : at::ones({source.size(0)}, float_options);
  if (source_weight.defined()) sources = sources * weights.view({1, -1, 1});
  if (anchor_weight.defined()) sums = sums * totals.view({1, -1, 1});
  sums = sums.index_add(1, anchor_here, sources);
  const at::Tensor own = totals.clone();
  totals.index_add_(0, anchor_here, weights);
  const at::Tensor means = (sums / totals.view({1, -1, 1})).to(x.scalar_type());
  const at::Tensor alone = (totals == own).view({1, -1, 1});
  return at::where(alone, gathered, means);
}

}  // namespace elastikv
