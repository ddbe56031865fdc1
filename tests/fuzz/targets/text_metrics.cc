// The input is a reference and, behind a cut, a candidate.

#include "metrics/text_metrics.h"

#include <vector>

#include "fuzz/support/contract.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const TextMetrics metrics(text_metric_names());
  const std::vector<std::string_view> texts = fuzz::parts_of(fuzz::text_of(data, size), 2);
  for (const TextScore& score : metrics.score(texts[0], texts[1])) {
    for (const double value : {score.precision, score.recall, score.f}) {
      fuzz::require(value >= 0 && value <= 1, "scores lie between 0 and 1");
    }
    fuzz::require(score.defined || score.f == 0, "a score that is not defined counts as 0");
  }
  return 0;
}
