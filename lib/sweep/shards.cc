#include "sweep/shards.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/files.h"
#include "metrics/metric_set.h"
#include "sweep/config.h"
#include "sweep/folder.h"
#include "sweep/header_difference.h"
#include "sweep/plan.h"
#include "sweep/record_files.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

void require_one_sweep(std::span<const fs::path> folders, const std::vector<SweepHeader>& headers) {
  std::map<int64_t, const fs::path*> shards;
  for (size_t i = 0; i < headers.size(); ++i) {
    for (size_t other = 0; other < i; ++other) {
      const std::string what = header_difference(headers[other], headers[i]);
      if (what.empty()) continue;
      fail("{}: does not fit to {}: it has {}", folders[i].string(), folders[other].string(), what);
    }
    if (!headers[i].shard) continue;
    const auto [known, is_new] = shards.try_emplace(headers[i].shard->index, &folders[i]);
    if (is_new) continue;
    fail("{}: is shard {}, and so is {}", folders[i].string(), headers[i].shard->text(),
         known->second->string());
  }
}

/// Of the joined folders; a sweep of which every shard is there is no shard any more.
SweepHeader joined_header(const std::vector<SweepHeader>& headers) {
  // Shards in their order, so that the result does not depend on the folders'.
  std::vector<const SweepHeader*> order;
  order.reserve(headers.size());
  for (const SweepHeader& header : headers) order.push_back(&header);
  std::stable_sort(order.begin(), order.end(), [](const SweepHeader* a, const SweepHeader* b) {
    return (a->shard ? a->shard->index : 0) < (b->shard ? b->shard->index : 0);
  });
  SweepHeader joined = *order.front();
  joined.shard.reset();
  joined.strategies.clear();
  std::vector<std::string> parts;
  for (const SweepHeader* header : order) {
    joined.engines.insert(header->engines.begin(), header->engines.end());
    joined.revisions.insert(header->revisions.begin(), header->revisions.end());
    if (header->shard) parts.push_back(header->shard->text());
  }
  if (headers.size() > 1 && !parts.empty())
    joined.provenance["joined"] = fmt::format("shards {}", fmt::join(parts, ", "));
  return joined;
}

std::vector<CellGroup> groups_of(const SweepHeader& header) {
  std::vector<CellGroup> groups = plan_cells(parse_sweep(header.config, kHeaderFile));
  std::erase_if(groups,
                [&](const CellGroup& group) { return !header.data.contains(group.data.name); });
  return groups;
}

}  // namespace

Shard parse_shard(std::string_view text) {
  const auto number = [](std::string_view digits) -> std::optional<int64_t> {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
  };
  const size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    const std::optional<int64_t> index = number(text.substr(0, slash));
    const std::optional<int64_t> count = number(text.substr(slash + 1));
    if (index && count && *index >= 1 && *index <= *count) return {*index, *count};
  }
  fail("--shard {}: needs to be I/N, such as 1/4 to 4/4 for four of them", text);
}

StoredSweep read_joined_sweep(std::span<const fs::path> folders) {
  std::vector<SweepHeader> headers;
  headers.reserve(folders.size());
  for (const fs::path& folder : folders) headers.push_back(read_stored_header(folder));
  require_one_sweep(folders, headers);
  return read_stored_sweep(folders, joined_header(headers));
}

bool are_shards(const SweepHeader& a, const SweepHeader& b) {
  return a.shard && b.shard && a.name == b.name && a.records_hash == b.records_hash;
}

std::string MissingSamples::text() const {
  constexpr size_t kShown = 5;
  const std::vector<std::string> first(
      ids.begin(), ids.begin() + static_cast<ptrdiff_t>(std::min(kShown, ids.size())));
  const std::string more =
      ids.size() > kShown ? fmt::format(" and {} more", ids.size() - kShown) : "";
  return fmt::format("{} of {} samples of {} for {}: {}{}", ids.size(), samples, data, model,
                     fmt::join(first, ", "), more);
}

std::vector<MissingSamples> missing_samples(const StoredSweep& sweep) {
  std::vector<MissingSamples> all;
  for (const CellGroup& group : groups_of(sweep.header)) {
    const std::vector<std::string>& samples = sweep.header.data.at(group.data.name).samples;
    MissingSamples missing{group.model_name, group.data.name, samples.size(), {}};
    for (const std::string& sample : samples) {
      const bool whole = std::all_of(group.cells.begin(), group.cells.end(), [&](const Cell& cell) {
        return sweep.records.find(cell.id, sample) != nullptr;
      });
      if (!whole) missing.ids.push_back(sample);
    }
    if (!missing.ids.empty()) all.push_back(std::move(missing));
  }
  return all;
}

void write_stored_sweep(const StoredSweep& sweep, const fs::path& folder) {
  if (path_exists(folder) && !is_folder(folder))
    fail("{}: cannot be made as the output folder: a file of that name exists", folder.string());
  if (path_exists(folder) &&
      (path_exists(folder / kHeaderFile) || !record_files(folder, kRecordsStem).empty()))
    fail("{}: holds a sweep; use another --output", folder.string());
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail("{}: cannot be made as the output folder: {}", folder.string(), error.message());
  const SweepConfig config = parse_sweep(sweep.header.config, kHeaderFile);
  const Scorers scorers = MetricSet(config.metrics).scorers();
  std::string records;
  std::string samples;
  for (const CellGroup& group : groups_of(sweep.header)) {
    for (const std::string& sample : sweep.header.data.at(group.data.name).samples) {
      for (const Cell& cell : group.cells) {
        const Record* record = sweep.records.find(cell.id, sample);
        if (record != nullptr) records += record_line(*record, scorers) + "\n";
      }
    }
  }
  for (const auto& [data, set] : sweep.samples) {
    for (const StoredSample& sample : set) samples += sample_line(data, sample) + "\n";
  }
  for (const auto& [place, set] : sweep.model_samples) {
    for (const StoredSample& sample : set)
      samples += sample_line(place.second, sample, place.first) + "\n";
  }
  std::string details;
  for (const StoredDetail& detail : sweep.details) details += detail_line(detail) + "\n";
  write_file_atomically(folder / kRecordsFile, records);
  if (!samples.empty()) write_file_atomically(folder / kSamplesFile, samples);
  if (!details.empty()) write_file_atomically(folder / kDetailsFile, details);
  // The last one: without it the folder holds no sweep.
  write_file_atomically(folder / kHeaderFile, header_text(sweep.header));
}

}  // namespace elastikv
