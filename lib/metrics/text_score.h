#pragma once

namespace elastikv {

/// How much of a candidate text is in the reference (precision), how much of the reference is in
/// the candidate (recall), and their harmonic mean; each in 0..1.
struct TextScore {
  double precision = 0;
  double recall = 0;
  double f = 0;
  /// False when the package whose definition is followed has no score for this pair, so that the
  /// zeros above were put in its place.
  bool defined = true;
};

}  // namespace elastikv
