#pragma once

#include <string>
#include <vector>

#include "base/keys_fwd.h"

namespace elastikv {

/// What generated texts are compared with.
enum class TextReference {
  kFullCache,  // what the model itself writes with its full cache (Elastic Cache's protocol)
  kDataSet,    // the data set's answer
};

struct MetricChoice {
  bool perplexity = true;
  bool score_last_token = true;
  bool score_end = false;  // the token that ends the model's turn, too
  bool one_pass = true;    // where a strategy allows it; false: always token by token
  std::vector<std::string> text{"rouge-l-pltrdy"};  // names of text_metric_names()
  TextReference reference = TextReference::kFullCache;
  bool agreement = true;

  /// Whether any is on.
  bool any() const { return perplexity || !text.empty() || agreement; }
  /// Whether any compares with the data set's answers.
  bool reads_answers() const {
    return perplexity || (!text.empty() && reference == TextReference::kDataSet);
  }
};

/// The keys of a sweep's section `metrics`.
const Keys<MetricChoice>& metric_keys();

}  // namespace elastikv
