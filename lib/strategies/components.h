#pragma once

#include <memory>

#include "strategies/component.h"
#include "strategies/parameters.h"

/// The makers of all components, one file each (lib/strategies/<role>_<kind>.cc); registry.cc lists
/// them by role and kind.
namespace elastikv {

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

using MakeHeadAllocation = std::shared_ptr<const HeadAllocation>(const Parameters&);
MakeHeadAllocation make_uniform_heads;
MakeHeadAllocation make_adaptive_heads;

using MakeSelection = std::shared_ptr<const Selection>(const Parameters&);
MakeSelection make_everything_selection;
MakeSelection make_top_selection;
MakeSelection make_recent_selection;
MakeSelection make_stride_selection;
MakeSelection make_runs_selection;

using MakeCompaction = std::shared_ptr<const Compaction>(const Parameters&);
MakeCompaction make_evict_compaction;
MakeCompaction make_merge_nearest_compaction;
MakeCompaction make_merge_similar_compaction;
MakeCompaction make_merge_threshold_compaction;
MakeCompaction make_merge_runs_compaction;
MakeCompaction make_merge_clusters_compaction;
MakeCompaction make_merge_values_compaction;

using MakeGeneration = std::shared_ptr<const Generation>(const Parameters&);
MakeGeneration make_none_generation;
MakeGeneration make_fixed_point_generation;
MakeGeneration make_oldest_generation;
MakeGeneration make_lowest_score_generation;
MakeGeneration make_lowest_row_generation;
MakeGeneration make_random_generation;
MakeGeneration make_recompress_generation;

// What the classes of github.com/liuzuyan/ElasticCache at 3138e03 compute.
MakeSelection make_elastic_released_selection;
MakeGeneration make_elastic_released_generation;
MakeSelection make_h2o_released_selection;
MakeGeneration make_h2o_released_generation;
MakeSelection make_local_released_selection;
MakeGeneration make_local_released_generation;

/// A component by its kind (registry.cc); importances and allocations may build on another. Error
/// for a kind that there is not, with the nearest that there is.
MakeImportance make_importance;
MakeAllocation make_allocation;
MakeSelection make_selection;
MakeCompaction make_compaction;
MakeGeneration make_generation;

}  // namespace elastikv
