#include "report/runs.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "image/pixel_backend.h"
#include "report/rank_agreement.h"
#include "sweep/shards.h"
#include "text/json_text.h"

namespace elastikv {
namespace {

/// A group of one run, before it is known whether it joins another.
struct Part {
  const ReportRun* run;
  SweepConfig config;
  GroupSource source;
};

bool same_outcome(const Record* a, const Record* b) {
  if (a == nullptr || b == nullptr) return a == b;
  if (a->failed() || b->failed()) return a->outcome.error == b->outcome.error;
  return a->scores == b->scores && a->outcome.nll == b->outcome.nll &&
         a->outcome.nll_sum == b->outcome.nll_sum && a->outcome.token_ids == b->outcome.token_ids &&
         a->outcome.mean_kl == b->outcome.mean_kl && a->outcome.options == b->outcome.options &&
         a->outcome.kept_tokens == b->outcome.kept_tokens;
}

bool same_results(const CellSource& a, const CellSource& b,
                  const std::vector<std::string>& samples) {
  return std::all_of(samples.begin(), samples.end(), [&](const std::string& sample) {
    return same_outcome(a.records->find(a.id, sample), b.records->find(b.id, sample));
  });
}

/// The first sample whose content two runs disagree on; empty when there is none.
std::string differing_sample(const GroupSource& a, const GroupSource& b) {
  for (const std::string& sample : a.samples) {
    const Record* mine = a.cells.front().records->find(a.cells.front().id, sample);
    const Record* other = b.cells.front().records->find(b.cells.front().id, sample);
    if (mine != nullptr && other != nullptr && mine->item != other->item) return sample;
  }
  return "";
}

std::string differing_engine(const Part& a, const Part& b) {
  const auto mine = a.run->sweep.header.engines.find(a.source.group.model_name);
  const auto other = b.run->sweep.header.engines.find(b.source.group.model_name);
  if (mine == a.run->sweep.header.engines.end() || other == b.run->sweep.header.engines.end()) {
    return "";  // one of them was never opened: it has no records
  }
  return std::string(mine->second.difference(other->second));
}

/// Which measure two sweeps define differently; their bootstraps do not count.
std::string differing_metric(const Part& of_a, const Part& of_b) {
  const SweepConfig& a = of_a.config;
  const SweepConfig& b = of_b.config;
  const auto measures = [&](const Part& part) {
    return measures_of(MetricSet(part.config.metrics), b.bootstrap, {&part.source.group.data, 1});
  };
  const std::vector<Measure> mine = measures(of_a);
  const std::vector<Measure> other = measures(of_b);
  if (mine.size() != other.size()) return "other metrics";
  for (size_t i = 0; i < mine.size(); ++i) {
    if (mine[i].name != other[i].name) return "other metrics";
    if (mine[i].signature != other[i].signature) {
      return fmt::format("another definition of {}", mine[i].name);
    }
  }
  if (a.max_new_tokens != b.max_new_tokens) {
    return fmt::format("texts of at most {} tokens instead of {}", b.max_new_tokens,
                       a.max_new_tokens);
  }
  return "";
}

/// A part of the program that all cells of a table share, and that had another revision when the
/// other run was made. Strategies are not shared: theirs are rows of their own.
std::string differing_part(const Part& a, const Part& b) {
  const std::map<std::string, int64_t>& mine = a.run->sweep.header.revisions;
  for (const auto& [part, revision] : b.run->sweep.header.revisions) {
    const std::string room = part.substr(0, part.find('/'));
    const bool shared = room == "metric" || room == "reader" || room == "model" ||
                        room == "prompt" || room == "image";
    const auto before = mine.find(part);
    if (shared && before != mine.end() && before->second != revision)
      return fmt::format("another revision of {} ({}, not {})", part, revision, before->second);
  }
  return "";
}

/// Why two groups of one model and data set cannot share a table; empty when they can.
std::string why_apart(const Part& a, const Part& b) {
  std::string engine = differing_engine(a, b);
  if (!engine.empty()) return engine;
  if (a.source.samples != b.source.samples) {
    return fmt::format("other samples ({} and {})", b.source.samples.size(),
                       a.source.samples.size());
  }
  const std::string sample = differing_sample(a.source, b.source);
  if (!sample.empty()) return fmt::format("another content of sample '{}'", sample);
  std::string revision = differing_part(a, b);
  if (!revision.empty()) return revision;
  return differing_metric(a, b);
}

/// Takes the cells of another run into a joined group.
class Joiner {
 public:
  Joiner(ReportGroup& group, const Part& part)
      : group_(group), part_(part), run_(group.runs.size()) {}

  void join() {
    add_full();
    std::set<std::string> renamed;
    for (const CellSource& cell : part_.source.cells) {
      const CellSource* same = known(cell);
      if (same != nullptr && !agrees(*same, cell)) renamed.insert(cell.cell.strategy.label);
      if (other_parameters(cell)) renamed.insert(cell.cell.strategy.label);
    }
    for (size_t i = 1; i < part_.source.cells.size(); ++i) {
      const CellSource& cell = part_.source.cells[i];
      const bool rename = renamed.count(cell.cell.strategy.label) > 0;
      if (!rename && known(cell) != nullptr) continue;
      add(cell, rename);
    }
    group_.runs.push_back(part_.run);
    for (const std::string& label : renamed) {
      group_.notes.push_back(fmt::format(
          "{} of {} is not the {} above it (other parameters or other results): shown as {}.",
          label, part_.run->name, label, suffixed(label)));
    }
  }

 private:
  std::string suffixed(const std::string& label) const {
    return fmt::format("{}@{}", label, part_.run->name);
  }

  void add_full() {
    const CellSource& full = part_.source.cells.front();
    CellSource& first = group_.source.cells.front();
    if (same_results(first, full, group_.source.samples)) {
      full_ = 0;
      if (first.cell.hidden && !full.cell.hidden) first.cell = full.cell;
      return;
    }
    full_ = group_.source.cells.size();
    add(full, /*rename=*/true);
    if (!full.cell.hidden) {
      group_.notes.push_back(
          fmt::format("The full cache of {} gave other results than that of {}; cells of {} are "
                      "compared with their own.",
                      part_.run->name, group_.runs.front()->name, part_.run->name));
    }
  }

  void add(CellSource cell, bool rename) {
    cell.run = run_;
    cell.full = full_;
    if (rename) cell.cell.strategy.label = suffixed(cell.cell.strategy.label);
    if (rename) cell.cell.id += "@" + part_.run->name;
    group_.source.cells.push_back(std::move(cell));
  }

  const CellSource* known(const CellSource& cell) const {
    for (const CellSource& other : group_.source.cells) {
      if (other.run != run_ && other.cell.id == cell.cell.id) return &other;
    }
    return nullptr;
  }
  bool agrees(const CellSource& a, const CellSource& b) const {
    return same_results(a, b, group_.source.samples);
  }
  bool other_parameters(const CellSource& cell) const {
    const StrategyChoice& mine = cell.cell.strategy;
    if (cell.cell.is_full()) return false;
    return std::any_of(
        group_.source.cells.begin(), group_.source.cells.end(), [&](const CellSource& other) {
          const StrategyChoice& theirs = other.cell.strategy;
          return other.run != run_ && theirs.label == mine.label &&
                 (theirs.preset != mine.preset || theirs.overrides != mine.overrides);
        });
  }

  ReportGroup& group_;
  const Part& part_;
  size_t run_;
  size_t full_ = 0;
};

std::string title_of(const CellGroup& group) {
  return fmt::format("{} on {}", group.model_name, group.data.name);
}

ReportGroup group_of(Part part) {
  ReportGroup group;
  group.title = title_of(part.source.group);
  group.runs = {part.run};
  group.compare_with = part.config.compare_with;
  group.config = std::move(part.config);
  group.source = std::move(part.source);
  return group;
}

/// Joins a part to the first group that it fits, or makes it a group of its own.
void place(Part part, std::vector<ReportGroup>& groups) {
  std::string reason;
  std::string apart_from;
  for (ReportGroup& group : groups) {
    const Part first{group.runs.front(), group.config, group.source};
    if (first.source.cells.front().cell.model != part.source.cells.front().cell.model ||
        first.source.cells.front().cell.data != part.source.cells.front().cell.data ||
        std::find(group.runs.begin(), group.runs.end(), part.run) != group.runs.end()) {
      continue;
    }
    const std::string apart = why_apart(first, part);
    if (apart.empty()) {
      Joiner(group, part).join();
      for (const std::string& label : part.config.compare_with) {
        auto& all = group.compare_with;
        if (std::find(all.begin(), all.end(), label) == all.end()) all.push_back(label);
      }
      return;
    }
    if (reason.empty()) {
      reason = apart;
      apart_from = group.runs.front()->name;
    }
  }
  groups.push_back(group_of(std::move(part)));
  if (reason.empty()) return;
  ReportGroup& group = groups.back();
  const std::string& name = group.runs.front()->name;
  group.source.group.data.name += "@" + name;
  group.title = title_of(group.source.group);
  group.notes.push_back(
      fmt::format("{} stands by itself: it has {} than {}.", name, reason, apart_from));
}

/// What no signature can say, since it depends on the data: that some samples accept several
/// answers. Empty where none does, or texts are not compared with answers.
std::string references_note(const ReportGroup& group) {
  const MetricChoice& metrics = group.config.metrics;
  if (metrics.text.empty() || metrics.reference != TextReference::kDataSet) return "";
  const Cell& cell = group.source.cells.front().cell;
  const std::vector<StoredSample>* samples =
      group.runs.front()->sweep.samples_of(cell.model, cell.data);
  if (samples == nullptr) return "";
  const auto several =
      std::count_if(samples->begin(), samples->end(),
                    [](const StoredSample& sample) { return sample.references.size() > 1; });
  if (several == 0) return "";
  return fmt::format(
      "{} of {} samples accept several answers; a text is compared with all of them and the best "
      "score counts.",
      several, samples->size());
}

/// How the data were read where that changes what was measured.
std::vector<std::string> reading_notes(const DataOptions& data) {
  std::vector<std::string> notes;
  if (data.tokens) {
    notes.push_back(fmt::format(
        "Windows of {} + {} tokens{}; {} (bos: {}).", data.tokens->prompt_tokens,
        data.tokens->answer_tokens,
        data.tokens->stride ? fmt::format(", {} apart", *data.tokens->stride) : "",
        data.tokens->bos == BosRule::kNever    ? "none begins with a BOS"
        : data.tokens->bos == BosRule::kAlways ? "each begins with a BOS"
                                               : "each begins as the tokenizer begins a text",
        bos_rule_name(data.tokens->bos)));
  }
  if (data.image_orientation == ImageOrientation::kExif)
    notes.emplace_back("Images were turned upright as their files say (image_orientation: exif).");
  return notes;
}

/// When which strategies compress, where that is not at the prompt's end for all.
std::string moments_signature(const ReportGroup& group) {
  std::string text;
  std::set<std::string> told;
  for (const CellSource& source : group.source.cells) {
    const StrategyChoice& strategy = source.cell.strategy;
    if (source.cell.at() == CompressAt::kPromptEnd || !told.insert(strategy.label).second) continue;
    text += fmt::format("{}{}={}", text.empty() ? "|compress_at:" : ",", strategy.label,
                        strategy.moment.name());
  }
  return text;
}

/// How the model's inputs were made, in the manner of signatures.
std::string inputs_note(const ReportGroup& group) {
  const auto& engines = group.runs.front()->sweep.header.engines;
  const auto engine = engines.find(group.source.group.model_name);
  if (engine == engines.end() || engine->second.prompt_signature.empty()) return "";
  const std::string& processing = engine->second.image_processing;
  const std::string pixels =
      processing.empty()
          ? ""
          : fmt::format("|pixels:{}", pixel_backend_name(pixel_backend_of(processing)));
  return fmt::format("Inputs: {}{}{}.", engine->second.prompt_signature, pixels,
                     moments_signature(group));
}

/// Which commits of the program made the records, where there are several; empty otherwise.
std::string commits_note(const ReportGroup& group) {
  std::map<std::string, int64_t> records;
  for (const CellSource& cell : group.source.cells) {
    for (const std::string& sample : group.source.samples) {
      const Record* record = cell.records->find(cell.id, sample);
      if (record != nullptr) ++records[record->commit.empty() ? "unknown" : record->commit];
    }
  }
  if (records.size() < 2) return "";
  std::string commits;
  for (const auto& [commit, count] : records)
    commits += fmt::format("{}{} ({} records)", commits.empty() ? "" : ", ", commit, count);
  return fmt::format(
      "The records were made by {} commits of the program, whose parts have the same revisions: "
      "{}.",
      records.size(), commits);
}

void finish(ReportGroup& group) {
  const std::string commits = commits_note(group);
  if (!commits.empty()) group.notes.push_back(commits);
  const std::string inputs = inputs_note(group);
  if (!inputs.empty()) group.notes.push_back(inputs);
  for (std::string& note : reading_notes(group.source.group.data))
    group.notes.push_back(std::move(note));
  const std::string references = references_note(group);
  if (!references.empty()) group.notes.push_back(references);
  if (group.runs.size() > 1) {
    std::string names;
    for (const ReportRun* run : group.runs) names += (names.empty() ? "" : ", ") + run->name;
    group.notes.insert(group.notes.begin(), fmt::format("Joined from {}.", names));
  }
  group.source.group.cells.clear();
  for (const CellSource& cell : group.source.cells) group.source.group.cells.push_back(cell.cell);
  const MetricSet metrics(group.config.metrics);
  group.measures = measures_of(metrics, group.config.bootstrap, {&group.source.group.data, 1});
  std::erase_if(group.measures, [&](const Measure& measure) {
    return group.source.group.metrics_of_others.contains(measure.name);
  });
  group.differences = std::make_shared<CellDifferences>(
      Bootstrap(group.config.bootstrap.iterations, group.config.bootstrap.seed));
  const Bootstrap& bootstrap = group.differences->bootstrap();
  group.task_scores = std::make_shared<TaskScores>(TaskScores{RelativeScores(bootstrap)});
  group.rank_agreements = std::make_shared<MadeRankAgreements>();
  group.summary = summarize(group.source, metrics, bootstrap);
  group.categories = summarize_categories(group.source, group.summary, metrics, bootstrap);
  group.turns = summarize_turns(group.source, group.summary, metrics, bootstrap);
}

}  // namespace

std::vector<ReportRun> read_runs(const std::vector<std::filesystem::path>& folders) {
  std::vector<std::filesystem::path> paths;
  std::map<std::string, int> names;
  const auto name_of = [](const std::filesystem::path& folder) {
    // The same whether the folder is given from outside or as "." from within.
    const std::filesystem::path path = std::filesystem::absolute(folder).lexically_normal();
    return escape_broken_utf8(path.has_filename() ? path.filename().string()
                                                  : path.parent_path().filename().string());
  };
  for (const std::filesystem::path& folder : folders) {
    const auto same = [&](const auto& other) { return std::filesystem::equivalent(other, folder); };
    if (!path_exists(folder)) fail("{}: holds no sweep (no sweep.json)", folder.string());
    if (std::any_of(paths.begin(), paths.end(), same)) {
      fail("{}: is given twice; each run is reported once", folder.string());
    }
    paths.push_back(folder);
    ++names[name_of(folder)];
  }
  std::vector<ReportRun> runs;
  std::vector<SweepHeader> headers;
  headers.reserve(paths.size());
  for (const std::filesystem::path& folder : paths) headers.push_back(read_stored_header(folder));
  std::vector<bool> joined(paths.size());
  for (size_t i = 0; i < paths.size(); ++i) {
    if (joined[i]) continue;
    std::vector<std::filesystem::path> parts{paths[i]};
    for (size_t other = i + 1; other < paths.size(); ++other) {
      if (!are_shards(headers[i], headers[other])) continue;
      joined[other] = true;
      parts.push_back(paths[other]);
    }
    std::string name = name_of(paths[i]);
    if (names.at(name) > 1) name = paths[i].lexically_normal().string();
    if (parts.size() > 1) name = headers[i].name;
    runs.push_back({std::move(name),
                    parts.size() > 1 ? read_joined_sweep(parts) : read_stored_sweep(paths[i])});
  }
  return runs;
}

std::vector<ReportGroup> join_runs(const std::vector<ReportRun>& runs) {
  std::vector<ReportGroup> groups;
  for (const ReportRun& run : runs) {
    const SweepConfig config = parse_sweep(run.sweep.header.config, "sweep.json");
    for (GroupSource& source : group_sources(run.sweep, config)) {
      place({&run, config, std::move(source)}, groups);
    }
  }
  for (ReportGroup& group : groups) finish(group);
  return groups;
}

}  // namespace elastikv
