#include "sweep/revisions.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/revisions.h"
#include "metrics/metric_set.h"

namespace elastikv {

std::vector<std::string> parts_of(const SweepConfig& config, const CellGroup& group,
                                  const DataSet& data, const Engines& engines) {
  std::vector<std::string> parts = engines.parts(group.model, group.cells);
  parts.push_back("reader/" + data.format);
  const MetricSet metrics(config.metrics);
  for (const auto& metric : metrics.metrics()) {
    if (!metric->traits().from_records) parts.push_back("metric/" + metric->traits().name);
  }
  std::sort(parts.begin(), parts.end());
  parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
  return parts;
}

std::string revisions_text(std::span<const std::string> parts) {
  std::string text;
  for (const std::string& part : parts)
    text += fmt::format("{}{}:{}", text.empty() ? "" : " ", part, revision_of(part));
  return text;
}

void add_revisions(std::span<const std::string> parts, std::map<std::string, int64_t>& revisions) {
  for (const std::string& part : parts) revisions[part] = revision_of(part);
}

}  // namespace elastikv
