#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "strategies/component.h"
#include "strategies/parameters.h"

/// All components by role and kind, one file each (lib/strategies/<role>_<kind>.cc): a new one has
/// two lines here, its maker and its kind.
namespace elastikv {

/// The makers of a role's components by the name of their kind.
template <typename Role>
using Kinds =
    std::vector<std::pair<const char*, std::shared_ptr<const Role> (*)(const Parameters&)>>;

using MakeImportance = std::shared_ptr<const Importance>(const Parameters&);
MakeImportance make_attention_importance;
MakeImportance make_window_importance;
MakeImportance make_last_row_importance;
MakeImportance make_key_norm_importance;
MakeImportance make_key_difference_importance;
MakeImportance make_expected_attention_importance;
MakeImportance make_post_image_importance;
MakeImportance make_random_importance;
MakeImportance make_position_importance;
MakeImportance make_value_weighted_importance;
MakeImportance make_redundancy_importance;

inline Kinds<Importance> importances() {
  return {
      {"attention", make_attention_importance},
      {"window", make_window_importance},
      {"last_row", make_last_row_importance},
      {"key_norm", make_key_norm_importance},
      {"key_difference", make_key_difference_importance},
      {"expected_attention", make_expected_attention_importance},
      {"post_image", make_post_image_importance},
      {"random", make_random_importance},
      {"position", make_position_importance},
      {"value_weighted", make_value_weighted_importance},
      {"redundancy", make_redundancy_importance},
  };
}

using MakeAllocation = std::shared_ptr<const Allocation>(const Parameters&);
MakeAllocation make_uniform_allocation;
MakeAllocation make_pyramid_allocation;
MakeAllocation make_cumulative_mass_allocation;
MakeAllocation make_entropy_allocation;
MakeAllocation make_sparsity_allocation;
MakeAllocation make_text_to_image_allocation;
MakeAllocation make_preference_allocation;
MakeAllocation make_variance_allocation;
MakeAllocation make_whole_layers_allocation;

inline Kinds<Allocation> allocations() {
  return {
      {"uniform", make_uniform_allocation},
      {"pyramid", make_pyramid_allocation},
      {"cumulative_mass", make_cumulative_mass_allocation},
      {"entropy", make_entropy_allocation},
      {"sparsity", make_sparsity_allocation},
      {"text_to_image", make_text_to_image_allocation},
      {"preference", make_preference_allocation},
      {"variance", make_variance_allocation},
      {"whole_layers", make_whole_layers_allocation},
  };
}

using MakeHeadAllocation = std::shared_ptr<const HeadAllocation>(const Parameters&);
MakeHeadAllocation make_uniform_heads;
MakeHeadAllocation make_adaptive_heads;

inline Kinds<HeadAllocation> head_allocations() {
  return {
      {"uniform", make_uniform_heads},
      {"adaptive", make_adaptive_heads},
  };
}

using MakeSelection = std::shared_ptr<const Selection>(const Parameters&);
MakeSelection make_everything_selection;
MakeSelection make_top_selection;
MakeSelection make_recent_selection;
MakeSelection make_stride_selection;
MakeSelection make_runs_selection;
// What the classes of github.com/liuzuyan/ElasticCache at 3138e03 compute.
MakeSelection make_elastic_released_selection;
MakeSelection make_h2o_released_selection;
MakeSelection make_local_released_selection;

inline Kinds<Selection> selections() {
  return {
      {"everything", make_everything_selection},
      {"top", make_top_selection},
      {"recent", make_recent_selection},
      {"stride", make_stride_selection},
      {"runs", make_runs_selection},
      {"elastic_released", make_elastic_released_selection},
      {"h2o_released", make_h2o_released_selection},
      {"local_released", make_local_released_selection},
  };
}

using MakeCompaction = std::shared_ptr<const Compaction>(const Parameters&);
MakeCompaction make_evict_compaction;
MakeCompaction make_merge_nearest_compaction;
MakeCompaction make_merge_similar_compaction;
MakeCompaction make_merge_threshold_compaction;
MakeCompaction make_merge_runs_compaction;
MakeCompaction make_merge_clusters_compaction;
MakeCompaction make_merge_values_compaction;

inline Kinds<Compaction> compactions() {
  return {
      {"evict", make_evict_compaction},
      {"merge_nearest", make_merge_nearest_compaction},
      {"merge_similar", make_merge_similar_compaction},
      {"merge_threshold", make_merge_threshold_compaction},
      {"merge_runs", make_merge_runs_compaction},
      {"merge_clusters", make_merge_clusters_compaction},
      {"merge_values", make_merge_values_compaction},
  };
}

using MakeGeneration = std::shared_ptr<const Generation>(const Parameters&);
MakeGeneration make_none_generation;
MakeGeneration make_fixed_point_generation;
MakeGeneration make_oldest_generation;
MakeGeneration make_lowest_score_generation;
MakeGeneration make_lowest_row_generation;
MakeGeneration make_random_generation;
MakeGeneration make_recompress_generation;
// What the classes of github.com/liuzuyan/ElasticCache at 3138e03 compute.
MakeGeneration make_elastic_released_generation;
MakeGeneration make_h2o_released_generation;
MakeGeneration make_local_released_generation;

inline Kinds<Generation> generations() {
  return {
      {"none", make_none_generation},
      {"fixed_point", make_fixed_point_generation},
      {"oldest", make_oldest_generation},
      {"lowest_score", make_lowest_score_generation},
      {"lowest_row", make_lowest_row_generation},
      {"random", make_random_generation},
      {"recompress", make_recompress_generation},
      {"elastic_released", make_elastic_released_generation},
      {"h2o_released", make_h2o_released_generation},
      {"local_released", make_local_released_generation},
  };
}

/// A component by its kind (registry.cc); importances and allocations may build on another. Error
/// for a kind that there is not, with the nearest that there is.
MakeImportance make_importance;
MakeAllocation make_allocation;
MakeSelection make_selection;
MakeCompaction make_compaction;
MakeGeneration make_generation;

}  // namespace elastikv
