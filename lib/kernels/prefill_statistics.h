#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>

#include <ATen/core/Tensor.h>

namespace elastikv {

/// What is wanted of a prefill beside its output. A[h, m, n] is the attention that query m of
/// query head h pays to key n <= m, after the softmax.
struct PrefillRequest {
  bool column_sums = false;
  bool column_max = false;
  bool row_entropy = false;
  /// Decays of the moving averages that are wanted, each in [0, 1).
  std::set<double> decays{};
  /// The attention rows of this many last queries (of all when the prompt is shorter).
  int64_t last_rows = 0;
  /// Moments of the queries before rotation, leaving out this many first tokens, once for each.
  std::set<int64_t> query_moments{};

  /// Whether anything of the attention matrix is read.
  bool reads_attention() const {
    return column_sums || column_max || row_entropy || !decays.empty() || last_rows > 0;
  }
  /// Whether anything is wanted at all.
  bool any() const { return reads_attention() || !query_moments.empty(); }

  PrefillRequest operator|(const PrefillRequest& other) const {
    PrefillRequest both = *this;
    both.column_sums |= other.column_sums;
    both.column_max |= other.column_max;
    both.row_entropy |= other.row_entropy;
    both.decays.insert(other.decays.begin(), other.decays.end());
    both.last_rows = std::max(last_rows, other.last_rows);
    both.query_moments.insert(other.query_moments.begin(), other.query_moments.end());
    return both;
  }
};

/// Mean and covariance (divided by their number) of a layer's queries before rotation.
struct QueryMoments {
  at::Tensor mean;        ///< f32 [query_heads, head_dim]
  at::Tensor covariance;  ///< f32 [query_heads, head_dim, head_dim]
};

/// What was asked for of one layer; the rest is undefined or empty. On the device of the queries
/// where a kernel returns it, on the CPU where a strategy reads it.
struct PrefillStatistics {
  at::Tensor column_sums;  ///< f32 [query_heads, tokens]: sum over queries m >= n of A[h, m, n]
  at::Tensor column_max;   ///< f32 [query_heads, tokens]: max over queries m >= n of A[h, m, n]
  at::Tensor row_entropy;  ///< f32 [query_heads, tokens]: -sum over n of A ln A, nats, per query
  at::Tensor last_rows;    ///< f32 [query_heads, rows, tokens]: A of the last queries
  /// By decay a, f32 [query_heads, tokens]: (1 - a) times the sum over m of a^(tokens-1-m)
  /// A[h,m,n], the moving average that a column ends with when it begins at 0.
  std::map<double, at::Tensor> moving_averages;
  std::map<int64_t, QueryMoments> query_moments;  ///< by the number of tokens left out
};

/// Moments of queries [query_heads, tokens, head_dim] without their first `skip` tokens; of all
/// tokens where fewer than one would be left. In fp32, on the queries' device.
QueryMoments query_moments(const at::Tensor& queries, int64_t skip);

/// The same on the CPU.
PrefillStatistics on_cpu(const PrefillStatistics& statistics);

}  // namespace elastikv
