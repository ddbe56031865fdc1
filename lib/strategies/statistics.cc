#include "strategies/statistics.h"

namespace elastikv {

std::string missing_for(const StatisticsRequest& request, int64_t prompt_tokens,
                        int64_t image_begin, int64_t image_end) {
  if (!request.post_image_rows) return {};
  if (image_end <= image_begin) {
    return "has no image, but the strategy reads the attention of the text after one";
  }
  if (image_end >= prompt_tokens) {
    return "has no text after its image, but the strategy reads that text's attention";
  }
  return {};
}

}  // namespace elastikv
