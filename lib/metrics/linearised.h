#pragma once

#include <span>

namespace elastikv {

// Values of samples that stand for a metric which is no mean of its samples' scores but a function
// f of sums over them, S = sum of x_i: their mean is f(S), and their spread is that of f. With n
// samples they are f(S) + n * (gradient of f at S) . x_i, which is the delta method: f must not
// change when all sums grow alike, as no ratio does. So intervals, clusters and paired differences
// (f of one cell minus f of another) are those of a mean.

/// Of numerator / denominator, sums over samples; f is 0 where the denominator is 0. One of each
/// per sample.
void linearise_ratio(std::span<const double> numerators, std::span<const double> denominators,
                     std::span<double> values);

/// Of any f: its value, and (gradient at S) . x_i of each sample as `values` holds it.
void linearise(double value, std::span<double> values);

}  // namespace elastikv
