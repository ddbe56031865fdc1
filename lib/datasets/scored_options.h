#pragma once

#include <string_view>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/draft.h"
#include "datasets/problems.h"

namespace elastikv {

/// The line that asks for what of an option is scored, in the place of kOptionLine.
std::string_view option_line(OptionText option_text);

/// Gives samples the options whose likelihoods answer them, where the data set says so; notes
/// those that leave no choice. Error where no sample has options.
void set_scored_options(std::vector<Draft>& drafts, const DataOptions& options, Problems& problems);

}  // namespace elastikv
