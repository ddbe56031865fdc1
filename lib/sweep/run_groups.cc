#include "sweep/run_groups.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.h"
#include "base/hash.h"
#include "models/registry.h"

namespace elastikv {
namespace {

/// Error when a stored record speaks of another question, answer or image under the same id. One
/// that failed does not count: its sample may have been mended, and is evaluated again.
void require_same_items(const RecordTable& stored, const GroupWork& work,
                        const std::filesystem::path& folder) {
  for (const Sample& sample : work.set.samples) {
    for (const Cell& cell : work.group.cells) {
      const Record* record = stored.find(cell.id, sample.id);
      if (record != nullptr && !record->failed() && record->item != sample.content) {
        fail(
            "{}: sample '{}' of {} was recorded with another question, answer or image; use "
            "another --output",
            folder.string(), sample.id, work.set.name);
      }
    }
  }
}

void require_same_keys(const RecordTable& stored, const GroupWork& work,
                       const std::filesystem::path& folder) {
  for (const Sample& sample : work.set.samples) {
    for (size_t i = 0; i < work.group.cells.size(); ++i) {
      const Record* record = stored.find(work.group.cells[i].id, sample.id);
      if (record != nullptr && !record->failed() && record->key != work.recorder.key(i, sample)) {
        fail(
            "{}: its records of {} were made with other parameters of '{}' or of a strategy "
            "beside it; use another --output",
            folder.string(), work.group.cells[i].id, work.group.cells[i].strategy.label);
      }
    }
  }
}

}  // namespace

int64_t GroupWork::samples() const {
  int64_t count = 0;
  for (size_t place = 0; place < set.samples.size(); ++place) count += ours(place) ? 1 : 0;
  return count;
}

bool settled(const RecordTable& stored, const CellGroup& group, const Sample& sample,
             const std::string& problem) {
  const std::string known = one_line(problem);
  return std::all_of(group.cells.begin(), group.cells.end(), [&](const Cell& cell) {
    const Record* record = stored.find(cell.id, sample.id);
    if (record == nullptr) return false;
    if (!record->failed()) return true;
    return !known.empty() && record->outcome.failure == Failure::kSample &&
           record->outcome.error == known && record->item == sample.content;
  });
}

void require_same_measurement(const RecordWriter& writer, std::vector<GroupWork>& work,
                              const Engines& engines, const std::filesystem::path& folder) {
  for (const GroupWork& item : work) require_same_items(writer.stored(), item, folder);
  std::set<std::string> open;
  for (const GroupWork& item : work) {
    if (!item.open.empty()) open.insert(item.group.model_name);
  }
  for (GroupWork& item : work) {
    const EngineIdentity* before = writer.stored_engine(item.group.model_name);
    if (before == nullptr) continue;
    const EngineIdentity identity =
        open.contains(item.group.model_name) ? engines.identity(item.group.model) : *before;
    writer.check_engine(item.group.model_name, identity);
    item.recorder.set_engine(identity);
    require_same_keys(writer.stored(), item, folder);
  }
}

std::map<std::string, std::string> strategy_hashes(const std::vector<CellGroup>& groups,
                                                   const Engines& engines) {
  std::map<std::string, std::string> hashes;
  for (const CellGroup& group : groups) {
    for (const Cell& cell : group.cells) {
      std::string& hash = hashes[cell.strategy.label];
      if (hash.empty()) hash = content_hash(engines.strategy_text(cell.strategy));
    }
  }
  return hashes;
}

std::vector<double> costs_of(const PreparedGroup& prepared, const EvaluationSettings& settings) {
  if (std::ssize(prepared.sizes) != prepared.usable() || prepared.sizes.empty()) return {};
  double parameters = 1;
  try {
    parameters = static_cast<double>(count_parameters(prepared.group.model.path));
  } catch (const Error&) {
    return {};
  }
  const auto cells = static_cast<double>(prepared.group.cells.size());
  std::vector<double> costs;
  auto size = prepared.sizes.begin();
  for (const std::string& problem : prepared.problems) {
    if (!problem.empty()) {
      costs.push_back(0);
      continue;
    }
    double tokens = 0;
    if (settings.perplexity) tokens += static_cast<double>(size->answer_tokens);
    for (const int64_t option : size->option_tokens) tokens += static_cast<double>(option);
    if (settings.generate && !size->by_likelihood())
      tokens += static_cast<double>(size->new_tokens(settings));
    costs.push_back(parameters * (static_cast<double>(size->prompt_tokens) + cells * tokens));
    ++size;
  }
  return costs;
}

void FailureCount::add(const Record& record) {
  std::set<std::string>& samples = failed_[record.cell];
  if (record.failed()) {
    samples.insert(record.sample);
    reasons_[{record.cell, record.sample}] = record.outcome.error;
  } else {
    samples.erase(record.sample);
    reasons_.erase({record.cell, record.sample});
  }
}

void FailureCount::report(SweepOutcome& outcome) const {
  for (const auto& [cell, samples] : failed_) outcome.failed_cells += samples.empty() ? 0 : 1;
  if (!reasons_.empty()) {
    const auto& [place, why] = *reasons_.begin();
    outcome.first_failure = fmt::format("{}, sample {}: {}", place.first, place.second, why);
  }
}

}  // namespace elastikv
