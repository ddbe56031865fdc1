#pragma once

namespace elastikv {

/// P(T <= t) of Student's distribution with `freedom` > 0 degrees of freedom, to about 1e-12.
double student_t_cdf(double t, double freedom);
/// The t below which it lies with probability `share`, 0 < share < 1.
double student_t_quantile(double share, double freedom);

}  // namespace elastikv
