#include "strategies/component.h"

#include "base/error.h"

namespace elastikv {

int64_t groups_of(Granularity granularity, int64_t kv_heads) {
  return granularity == Granularity::kKvHead ? kv_heads : 1;
}

std::string granularity_name(Granularity granularity) {
  switch (granularity) {
    case Granularity::kModel:
      return "model";
    case Granularity::kLayer:
      return "layer";
    case Granularity::kKvHead:
      return "kv_head";
  }
  ELASTIKV_ASSERT(false, "granularity {}", static_cast<int>(granularity));
}

int64_t GenerationStart::kept(int64_t layer, int64_t group) const {
  const LayerPlan& plan = plans.at(static_cast<size_t>(layer));
  if (plan.keeps_everything()) return prompt.prompt_tokens;
  const int64_t row = plan.kept.size(0) == 1 ? 0 : group;
  int64_t kept = plan.kept.size(1);
  const int64_t* slots = plan.kept.const_data_ptr<int64_t>() + row * kept;
  while (kept > 0 && slots[kept - 1] < 0) --kept;
  return kept;
}

int64_t GenerationStart::slots(int64_t layer, int64_t group, int64_t tokens_seen) const {
  return kept(layer, group) + budget.slots(tokens_seen, prompt.prompt_tokens) -
         budget.slots(prompt.prompt_tokens, prompt.prompt_tokens);
}

}  // namespace elastikv
