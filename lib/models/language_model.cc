#include "models/language_model.h"

namespace elastikv {

void PromptBeginning::shorten(int64_t to) {
  for (Layer& layer : layers) {
    for (at::Tensor* part : {&layer.queries, &layer.unrotated, &layer.keys, &layer.values}) {
      *part = part->narrow(1, 0, to).contiguous();
    }
  }
  tokens = to;
}

}  // namespace elastikv
