#pragma once

#include <string>
#include <vector>

#include "base/keys_fwd.h"
#include "base/value_form.h"
#include "base/yaml_fields.h"
#include "runtime/compress_at.h"
#include "sweep/cell.h"

namespace elastikv {

/// The keys of an entry of `strategies`.
const Keys<StrategyChoice>& strategy_keys();

/// The preset that never compresses.
inline constexpr const char* kFullCache = "full";

ValueForm<CompressAt> compress_at_form();
ValueForm<QuestionEntries> question_entries_form();
/// One moment or a list of different ones.
std::vector<CompressAt> read_moments(const YamlFields& node);
/// The strategy at each of these moments, named after those that are not the prompt's end:
/// "elastic-before_question". The full cache is one and the same under all of them.
std::vector<StrategyChoice> at_moments(const StrategyChoice& strategy,
                                       const std::vector<CompressAt>& moments,
                                       QuestionEntries question);

/// An entry of `strategies`: a preset's name or path, or a mapping of preset, name and set. A list
/// or range in `set` makes a strategy for each value (for each combination where several keys
/// list), named after it: "elastic-sinks2". Error naming line and key for an entry that is
/// malformed.
std::vector<StrategyChoice> read_strategies(const YamlFields& node);
/// All entries. Error for two strategies with one name, too.
std::vector<StrategyChoice> read_all_strategies(const YamlFields& node);

/// Adds the files of plugins that are not there yet.
void add_plugins(const std::vector<std::string>& more, std::vector<std::string>& plugins);

/// A preset's name or path as a name in tables.
std::string preset_label(const std::string& preset);

/// Whether any is another than the full cache, which has no budget.
bool need_budgets(const std::vector<StrategyChoice>& strategies);

}  // namespace elastikv
