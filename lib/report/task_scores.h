#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "metrics/relative_score.h"

namespace elastikv {

/// What strategies keep of the full cache's scores over a model's tasks. Several tables show the
/// same: each is made once.
struct TaskScores {
  RelativeScores scores;
  std::map<std::pair<std::string, std::string>, std::optional<RelativeScore>> made =
      {};  // by strategy and budget
};

}  // namespace elastikv
