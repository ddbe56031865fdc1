#include "sweep/details.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <optional>
#include <utility>

#include "base/error.h"
#include "sweep/group_recorder.h"

namespace elastikv {
namespace {

bool reads_alike(const DataSet& a, const DataSet& b) {
  return std::equal(a.samples.begin(), a.samples.end(), b.samples.begin(), b.samples.end(),
                    [](const Sample& one, const Sample& other) {
                      return one.id == other.id && one.question == other.question &&
                             one.answer == other.answer;
                    });
}

std::string lines_of(const DataSet& set, const std::string& model) {
  std::string lines;
  for (const Sample& sample : set.samples)
    lines += sample_line(set.name, stored_sample(sample), model) + "\n";
  return lines;
}

/// Of numbers that are none nothing can be drawn.
void require_finite(const SampleDetail& detail) {
  for (size_t layer = 0; layer < detail.importance.size(); ++layer) {
    const std::vector<float>& row = detail.importance[layer];
    if (std::all_of(row.begin(), row.end(), [](float value) { return std::isfinite(value); }))
      continue;
    fail("the attention that layer {} receives is not finite", layer);
  }
}

}  // namespace

std::string sample_lines(std::span<const CellGroup> groups, const SweepData& data) {
  std::string lines;
  for (size_t i = 0; i < groups.size(); ++i) {
    const DataSet& set = data.of(groups[i]);
    const auto first = std::find_if(groups.begin(), groups.end(), [&](const CellGroup& group) {
      return group.data.name == groups[i].data.name;
    });
    if (first == groups.begin() + static_cast<ptrdiff_t>(i)) {
      lines += lines_of(set, /*model=*/"");
    } else if (!reads_alike(data.of(*first), set)) {
      lines += lines_of(set, groups[i].model_name);
    }
  }
  return lines;
}

bool lacks_detail(const RecordSink& writer, const CellGroup& group, const Sample& sample,
                  const std::string& problem) {
  // There is no look at a later turn.
  return problem.empty() && sample.earlier.empty() &&
         !writer.has_detail(group.model_name, group.data.name, sample.id);
}

GroupDetails::GroupDetails(const CellGroup& group, const DataSet& data,
                           std::span<const std::string> problems, int64_t samples,
                           RecordSink& writer, const std::optional<Shard>& shard)
    : group_(group), writer_(writer) {
  const size_t count = std::min(data.samples.size(), static_cast<size_t>(samples));
  for (size_t i = 0; i < count; ++i) {
    const Sample& sample = data.samples[i];
    if (shard && !shard->holds(i)) continue;
    if (lacks_detail(writer, group, sample, problems[i])) due_.push_back(&sample);
  }
}

void GroupDetails::keep(const Sample& sample, SampleEvaluator& evaluator, Progress& progress) {
  if (std::erase(due_, &sample) == 0) return;
  StoredDetail stored{group_.model_name, group_.data.name, sample.id, {}, {}};
  for (const Cell& cell : group_.cells) stored.cells.push_back(cell.id);
  try {
    std::optional<SampleDetail> detail = evaluator.look(sample, group_.cells);
    if (!detail) return;
    ELASTIKV_ASSERT(detail->kept.size() == group_.cells.size(), "{} kept sets of {} cells",
                    detail->kept.size(), group_.cells.size());
    require_finite(*detail);
    stored.detail = std::move(*detail);
  } catch (const Interrupted&) {
    throw;
  } catch (const DeviceLost&) {
    throw;
  } catch (const std::exception& error) {
    // What an outcome depends on is in the records by now.
    progress.say(fmt::format("no details of {} sample {}: {}", group_.data.name, sample.id,
                             one_line(error.what())));
    return;
  }
  writer_.append(stored);
}

void GroupDetails::keep_all_but(std::span<const Sample* const> open, SampleEvaluator& evaluator,
                                Progress& progress) {
  const std::vector<const Sample*> due = due_;
  for (const Sample* sample : due) {
    if (std::find(open.begin(), open.end(), sample) == open.end())
      keep(*sample, evaluator, progress);
  }
}

}  // namespace elastikv
