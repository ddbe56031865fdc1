#pragma once

#include <vector>

#include "metrics/metric_choice.h"
#include "metrics/metric_set.h"

namespace elastikv {

/// Adds a metric, or several of one kind, where the sweep asks for it.
using MetricMaker = void (*)(const MetricChoice& choice, MetricSet& set);

// Each is defined in its metric's file.

void make_perplexity(const MetricChoice& choice, MetricSet& set);
void make_window_perplexity(const MetricChoice& choice, MetricSet& set);
void make_text_means(const MetricChoice& choice, MetricSet& set);
void make_first_divergence(const MetricChoice& choice, MetricSet& set);
void make_match_rate(const MetricChoice& choice, MetricSet& set);
void make_mean_kl(const MetricChoice& choice, MetricSet& set);

/// All of them, in the order of tables: a new one has its line here. (Metrics of texts are
/// make_text_means'; theirs is in text_families.h.)
inline std::vector<MetricMaker> metric_makers() {
  return {
      make_perplexity,       make_window_perplexity, make_text_means,
      make_first_divergence, make_match_rate,        make_mean_kl,
  };
}

}  // namespace elastikv
