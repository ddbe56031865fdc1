#include "sweep/preparation.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace elastikv {
namespace {

/// Checks the samples of a group. Error for the first problem unless the data set records such
/// samples, and when no sample is left without one.
void check_samples(PreparedGroup& prepared, const EvaluationSettings& settings,
                   const Engines& engines, const Preparation::Missing& missing) {
  const CellGroup& group = prepared.group;
  const std::vector<Sample>& samples = prepared.set->samples;
  if (settings.score_end && prepared.set->in_windows) {
    fail(
        "{}: is plain text, cut into windows: its answers end where the text goes on, so that "
        "metrics.perplexity.score_end has no end to score",
        group.data.path.string());
  }
  SampleCheck check;
  if (missing.model) {
    check.problems.resize(samples.size());
  } else {
    check = engines.check_samples(group.model, group.cells, samples, settings);
  }
  ELASTIKV_ASSERT(check.problems.size() == samples.size(), "{} answers about {} samples",
                  check.problems.size(), samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    if (check.problems[i].empty()) check.problems[i] = samples[i].problem;
  }
  prepared.problems = std::move(check.problems);
  prepared.sizes = std::move(check.sizes);
  prepared.contexts = std::move(check.contexts);
  ELASTIKV_ASSERT(prepared.contexts.empty() || prepared.contexts.size() == samples.size(),
                  "{} contexts of {} samples", prepared.contexts.size(), samples.size());
  prepared.memory = std::move(check.memory);
  const auto first = std::find_if(prepared.problems.begin(), prepared.problems.end(),
                                  [](const std::string& problem) { return !problem.empty(); });
  if (first == prepared.problems.end()) return;
  if (group.data.on_problem != OnProblem::kRecord || prepared.usable() == 0) fail("{}", *first);
}

}  // namespace

int64_t PreparedGroup::usable() const {
  return std::count_if(problems.begin(), problems.end(),
                       [](const std::string& problem) { return problem.empty(); });
}

Preparation::Preparation(const SweepConfig& config, const std::vector<std::string>& sample_ids,
                         const Engines& engines, const Look& look)
    : config_(config) {
  if (!sample_ids.empty()) choice_ = choose_samples(config, sample_ids, engines);
  groups_ = plan_cells(this->config());
  const EvaluationSettings settings = this->config().evaluation();
  std::vector<Missing> missing;
  std::vector<CellGroup> readable;
  for (const CellGroup& group : groups_) {
    missing.push_back(look ? look(group) : Missing{});
    if (!missing.back().model && !missing.back().weights)
      engines.check(group.model, group.cells, settings);
    if (!missing.back().data) readable.push_back(group);
  }
  data_.emplace(readable, engines);
  for (size_t i = 0; i < groups_.size(); ++i) {
    prepared_.push_back({groups_[i], missing[i].data ? nullptr : &data_->of(groups_[i])});
    if (!missing[i].data) check_samples(prepared_.back(), settings, engines, missing[i]);
  }
}

}  // namespace elastikv
