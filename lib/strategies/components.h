#pragma once

#include <memory>

#include "strategies/component.h"
#include "strategies/parameters.h"

/// The makers of all components, one file each (lib/strategies/<role>_<kind>.cc); registry.cc lists
/// them by role and kind.
namespace elastikv {

std::shared_ptr<const Importance> make_attention_importance(const Parameters& parameters);
std::shared_ptr<const Importance> make_random_importance(const Parameters& parameters);

std::shared_ptr<const Allocation> make_uniform_allocation(const Parameters& parameters);

std::shared_ptr<const Selection> make_everything_selection(const Parameters& parameters);
std::shared_ptr<const Selection> make_top_selection(const Parameters& parameters);
std::shared_ptr<const Selection> make_recent_selection(const Parameters& parameters);
std::shared_ptr<const Selection> make_stride_selection(const Parameters& parameters);

std::shared_ptr<const Compaction> make_evict_compaction(const Parameters& parameters);
std::shared_ptr<const Compaction> make_merge_nearest_compaction(const Parameters& parameters);

std::shared_ptr<const Generation> make_none_generation(const Parameters& parameters);
std::shared_ptr<const Generation> make_fixed_point_generation(const Parameters& parameters);
std::shared_ptr<const Generation> make_oldest_generation(const Parameters& parameters);
std::shared_ptr<const Generation> make_lowest_score_generation(const Parameters& parameters);
std::shared_ptr<const Generation> make_random_generation(const Parameters& parameters);

// What the classes of github.com/liuzuyan/ElasticCache at 3138e03 compute.
std::shared_ptr<const Selection> make_elastic_released_selection(const Parameters& parameters);
std::shared_ptr<const Generation> make_elastic_released_generation(const Parameters& parameters);
std::shared_ptr<const Selection> make_h2o_released_selection(const Parameters& parameters);
std::shared_ptr<const Generation> make_h2o_released_generation(const Parameters& parameters);
std::shared_ptr<const Selection> make_local_released_selection(const Parameters& parameters);
std::shared_ptr<const Generation> make_local_released_generation(const Parameters& parameters);

}  // namespace elastikv
