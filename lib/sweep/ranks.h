#pragma once

#include <memory>
#include <string>

#include "sweep/engine.h"
#include "sweep/rank_place.h"
#include "sweep/rank_store.h"
#include "sweep/shared_work.h"

namespace elastikv {

/// This process among those that run a sweep together.
struct Ranks {
  RankPlace place;
  std::string host;
  std::unique_ptr<RankStore> store;
  std::unique_ptr<SharedWork> work;
};

/// Meets the others: connects to their store, and shows from here on that this rank lives. Error as
/// RankStore::connect's, which waits as long as ranks do for each other.
std::unique_ptr<Ranks> meet_ranks(const RankPlace& place, const RankTiming& timing);

/// The engines of one rank: `cuda` is the GPU of its number among the ranks of its machine, or the
/// only one that its launcher lets it see (CUDA_VISIBLE_DEVICES names one). What checks a model
/// says so where there are not that many.
std::unique_ptr<Engines> engines_of_rank(std::unique_ptr<Engines> engines, const RankPlace& place);

}  // namespace elastikv
