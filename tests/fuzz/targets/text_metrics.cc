// The input is a reference and, behind a cut, a candidate.

#include "metrics/text_metrics.h"

#include <string>
#include <vector>

#include "base/utf8.h"
#include "fuzz/support/contract.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const TextMetrics metrics(text_metric_names());
  static const TextMetrics tasks(task_metric_names());
  const std::vector<std::string_view> texts = fuzz::parts_of(fuzz::text_of(data, size), 2);
  std::vector<TextScore> scores = metrics.score(texts[0], texts[1]);
  // Data sets are UTF-8; a model's text may be anything.
  if (is_valid_utf8(texts[0])) {
    const std::string answer(texts[0]);
    const Question question{.answer = answer, .references = {answer}, .options = {answer, "B"}};
    const std::vector<TextScore> more = tasks.score_answer(question, texts[1]);
    scores.insert(scores.end(), more.begin(), more.end());
  }
  for (const TextScore& score : scores) {
    for (const double value : {score.precision, score.recall, score.f}) {
      fuzz::require(value >= 0 && value <= 1, "scores lie between 0 and 1");
    }
    fuzz::require(score.defined || score.f == 0, "a score that is not defined counts as 0");
  }
  return 0;
}
