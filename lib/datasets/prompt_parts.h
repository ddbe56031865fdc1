#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "datasets/columns.h"
#include "datasets/sample.h"

namespace elastikv {

/// Error where braces of a text are neither a column's nor doubled.
void check_part(std::string_view part);

/// The columns that the parts name, in their order, as often as they do. They must have been
/// checked.
std::vector<std::string> names_in(const PromptParts& parts);

/// Writes a row's question, its context and what its answer begins with.
void write_parts(const PromptParts& parts, const nlohmann::json& row, Sample& sample);

}  // namespace elastikv
