#include "strategies/statistics_copy.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace elastikv {
namespace {

at::Tensor cloned(const at::Tensor& tensor, bool wanted = true) {
  return wanted && tensor.defined() ? tensor.contiguous().clone() : at::Tensor();
}

/// Whether the bytes of two contiguous tensors of one size are the same, of large ones a page in
/// sixteen.
bool same_bytes(const at::Tensor& a, const at::Tensor& b) {
  constexpr size_t kWhole = size_t{1} << 20;
  constexpr size_t kPage = 4096;
  const auto* first = static_cast<const char*>(a.const_data_ptr());
  const auto* second = static_cast<const char*>(b.const_data_ptr());
  const size_t size = a.nbytes();
  if (size <= kWhole) return std::memcmp(first, second, size) == 0;
  for (size_t at = 0; at < size; at += 16 * kPage) {
    if (std::memcmp(first + at, second + at, std::min(kPage, size - at)) != 0) return false;
  }
  return std::memcmp(first + size - kPage, second + size - kPage, kPage) == 0;
}

}  // namespace

bool has_changed(const at::Tensor& copy, const at::Tensor& original) {
  if (!original.defined() || !copy.defined()) return false;
  if (copy.sizes() != original.sizes() || copy.scalar_type() != original.scalar_type() ||
      !copy.is_contiguous() || !copy.is_cpu())
    return true;
  return !same_bytes(copy, original.contiguous());
}

LayerStatistics copy_of(const LayerStatistics& layer, const StatisticsRequest& request,
                        int64_t tokens_after_image) {
  const PrefillRequest& wanted = request.prefill;
  LayerStatistics copy;
  copy.column_sums = cloned(layer.column_sums, wanted.column_sums);
  copy.column_max = cloned(layer.column_max, wanted.column_max);
  copy.row_entropy = cloned(layer.row_entropy, wanted.row_entropy);
  const int64_t rows =
      std::max(wanted.last_rows, request.post_image_rows ? tokens_after_image : int64_t{0});
  if (rows > 0 && layer.last_rows.defined()) {
    const int64_t there = std::min(rows, layer.last_rows.size(1));
    copy.last_rows = cloned(layer.last_rows.narrow(1, layer.last_rows.size(1) - there, there));
  }
  for (const auto& [decay, averages] : layer.moving_averages) {
    if (wanted.decays.contains(decay)) copy.moving_averages[decay] = cloned(averages);
  }
  for (const auto& [skip, moments] : layer.query_moments) {
    if (wanted.query_moments.contains(skip))
      copy.query_moments[skip] = {cloned(moments.mean), cloned(moments.covariance)};
  }
  copy.keys = cloned(layer.keys, request.keys);
  copy.values = cloned(layer.values, request.values);
  return copy;
}

PromptStatistics copy_of(const PromptStatistics& prompt, const StatisticsRequest& request) {
  PromptStatistics copy;
  copy.prompt_tokens = prompt.prompt_tokens;
  copy.position_delta = prompt.position_delta;
  copy.query_heads = prompt.query_heads;
  copy.kv_heads = prompt.kv_heads;
  copy.image_begin = prompt.image_begin;
  copy.image_end = prompt.image_end;
  copy.seed = prompt.seed;
  copy.rotary_frequencies = cloned(prompt.rotary_frequencies);
  copy.layers.reserve(prompt.layers.size());
  for (const LayerStatistics& layer : prompt.layers)
    copy.layers.push_back(copy_of(layer, request, prompt.tokens_after_image()));
  return copy;
}

std::string changed_in(const LayerStatistics& copy, const LayerStatistics& original) {
  if (has_changed(copy.column_sums, original.column_sums)) return "column_sums";
  if (has_changed(copy.column_max, original.column_max)) return "column_max";
  if (has_changed(copy.row_entropy, original.row_entropy)) return "row_entropy";
  if (copy.last_rows.defined() && original.last_rows.defined()) {
    const int64_t rows = std::min(copy.last_rows.size(1), original.last_rows.size(1));
    const at::Tensor last = original.last_rows.narrow(1, original.last_rows.size(1) - rows, rows);
    if (has_changed(copy.last_rows, last)) return "last_rows";
  }
  for (const auto& [decay, averages] : copy.moving_averages) {
    if (has_changed(averages, original.moving_averages.at(decay))) return "moving_averages";
  }
  for (const auto& [skip, moments] : copy.query_moments) {
    const QueryMoments& before = original.query_moments.at(skip);
    if (has_changed(moments.mean, before.mean) ||
        has_changed(moments.covariance, before.covariance))
      return "query_moments";
  }
  if (has_changed(copy.keys, original.keys)) return "keys";
  if (has_changed(copy.values, original.values)) return "values";
  return "";
}

std::string changed_in(const PromptStatistics& copy, const PromptStatistics& original) {
  for (size_t layer = 0; layer < copy.layers.size(); ++layer) {
    const std::string what = changed_in(copy.layers[layer], original.layers[layer]);
    if (!what.empty()) return fmt::format("layer {}'s {}", layer, what);
  }
  return "";
}

}  // namespace elastikv
