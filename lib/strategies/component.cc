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

int64_t GenerationStart::kept(int64_t layer) const {
  const LayerPlan& plan = plans.at(static_cast<size_t>(layer));
  return plan.keeps_everything() ? prompt.prompt_tokens : plan.kept.size(1);
}

}  // namespace elastikv
