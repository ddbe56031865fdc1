#include "metrics/metric_set.h"

#include <algorithm>

#include "metrics/metric_makers.h"

namespace elastikv {

MetricSet::MetricSet(const MetricChoice& choice) {
  for (const MetricMaker make : metric_makers()) make(choice, *this);
}

bool MetricSet::needs_full() const {
  return std::any_of(metrics_.begin(), metrics_.end(),
                     [](const auto& metric) { return metric->traits().needs_full(); });
}

bool MetricSet::needs_answers() const {
  return std::any_of(metrics_.begin(), metrics_.end(),
                     [](const auto& metric) { return metric->traits().reference == "dataset"; });
}

Scores MetricSet::score(const ScoreInput& input, bool is_full) const {
  Scores scores(scorers_.size());
  for (size_t i = 0; i < scorers_.size(); ++i) {
    if (!is_full || scorers_[i]->of_full()) scores[i] = scorers_[i]->score(input);
  }
  return scores;
}

size_t MetricSet::add(std::shared_ptr<const Scorer> scorer) {
  const auto same = std::find_if(scorers_.begin(), scorers_.end(), [&](const auto& other) {
    return other->section() == scorer->section() && other->name() == scorer->name();
  });
  const auto place = static_cast<size_t>(same - scorers_.begin());
  if (same == scorers_.end()) scorers_.push_back(std::move(scorer));
  return place;
}

}  // namespace elastikv
