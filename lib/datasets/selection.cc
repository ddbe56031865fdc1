#include "datasets/selection.h"

#include <string>
#include <unordered_set>

#include "base/error.h"
#include "base/nearest_name.h"

namespace elastikv {
namespace {

void keep_ids(std::vector<Draft>& drafts, const DataOptions& options) {
  std::unordered_set<std::string> known;
  for (const Draft& draft : drafts) known.insert(draft.sample.id);
  for (const std::string& id : options.sample_ids) {
    if (known.contains(id)) continue;
    std::vector<std::string> names;
    names.reserve(drafts.size());
    for (const Draft& draft : drafts) names.push_back(draft.sample.id);
    const std::string near = nearest_name(id, names);
    fail("{}: no sample '{}'{}", options.path.string(), id,
         near.empty() ? fmt::format(" among its {}", names.size())
                      : fmt::format("; did you mean '{}'?", near));
  }
  const std::unordered_set<std::string> wanted(options.sample_ids.begin(),
                                               options.sample_ids.end());
  std::erase_if(drafts, [&](const Draft& draft) { return !wanted.contains(draft.sample.id); });
}

}  // namespace

void select(std::vector<Draft>& drafts, const DataOptions& options) {
  if (!options.sample_ids.empty()) keep_ids(drafts, options);
  if (options.offset >= static_cast<int64_t>(drafts.size())) {
    fail("{}: offset {} leaves no sample of {}", options.path.string(), options.offset,
         drafts.size());
  }
  drafts.erase(drafts.begin(), drafts.begin() + options.offset);
  if (options.limit && *options.limit < static_cast<int64_t>(drafts.size()))
    drafts.resize(static_cast<size_t>(*options.limit));
}

}  // namespace elastikv
