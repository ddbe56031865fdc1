#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "metrics/intervals.h"

namespace elastikv {

/// How a table's numbers were made beyond the metric itself.
struct SignatureContext {
  /// What was compared with or scored: "full-cache" (the full cache's own output), "dataset" (its
  /// answers), "given" (texts from a file).
  std::string reference = "full-cache";
  /// Replicates of the bootstrap, 0 for no intervals.
  int64_t bootstrap = Bootstrap::kDefaultReplicates;
  uint64_t seed = Bootstrap::kDefaultSeed;
  /// What was scored of options whose likelihoods answer questions: "letter-and-text", several
  /// joined by "+" where data sets differ; empty where texts answer all questions.
  std::string option_text = {};
};

/// One line that says which definition of a metric a number follows, in sacrebleu's manner: two
/// numbers may be compared when their signatures are equal. Name, space, then fields such as
///   type:f|tok:google[a-z0-9]|stem:no|lsum:newline|agg:mean|ci:bootstrap-t|bs:1000|seed:12345|...
/// up to the program's version and what was compared with (`...|impl:elastikv-0.2.0|ref:dataset`).
/// `definition` is what sits before "agg:"; "rev:2" stands behind it where results are not those of
/// the metric's first release any more (revision_of "metric/NAME").
std::string metric_signature(std::string_view name, std::string_view definition,
                             std::string_view aggregation, const SignatureContext& context);

}  // namespace elastikv
