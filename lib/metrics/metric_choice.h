#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

/// What generated texts are compared with.
enum class TextReference {
  kFullCache,  // what the model itself writes with its full cache (Elastic Cache's protocol)
  kDataSet,    // the data set's answer
};
/// "full-cache" or "dataset".
constexpr std::string_view text_reference_name(TextReference reference) {
  return reference == TextReference::kFullCache ? "full-cache" : "dataset";
}

/// The perplexities of windows by words and by bytes.
inline constexpr const char* kWordPerplexity = "word_ppl";
inline constexpr const char* kBytePerplexity = "byte_ppl";

/// Which metrics a sweep asks for, and how it wants them.
struct MetricChoice {
  bool perplexity = true;
  bool score_last_token = true;
  bool score_end = false;  // the token that ends the model's turn, too
  bool one_pass = true;    // where a strategy allows it; false: always token by token
  /// Whether a data set of the sweep is windows of a text's tokens, of which perplexity is given by
  /// words and bytes too. No key says it.
  bool windows = false;
  std::vector<std::string> text{"rouge-l-pltrdy"};  // names that TextMetrics knows
  TextReference reference = TextReference::kFullCache;
  bool agreement = true;
};

}  // namespace elastikv
