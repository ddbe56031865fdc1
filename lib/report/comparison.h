#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/intervals.h"
#include "report/published.h"
#include "report/stored_bench.h"
#include "sweep/records.h"

namespace elastikv {

/// Which of ours stands for a published name, instead of what the table's file says.
struct NameOverride {
  std::string published;
  std::string ours;  // pattern for label_matches
};
/// "PUBLISHED=OURS"; Error naming `option` for anything else.
NameOverride parse_name_override(std::string_view text, std::string_view option);

struct ComparisonNames {
  std::vector<NameOverride> models;
  std::vector<NameOverride> data;
  std::vector<NameOverride> strategies;
};

/// A folder with what a sweep left, a benchmark, or both.
struct ComparedRun {
  std::string folder;
  std::optional<StoredSweep> sweep;
  std::optional<StoredBench> bench;

  /// What made-up records are for (provenance's `fixture`); empty for measured ones.
  std::string fixture() const;
};
/// Error when the folder holds neither.
ComparedRun read_compared_run(const std::filesystem::path& folder);

/// What one of our strategies computes of a published row.
enum class StandsFor {
  kNothing,   // no strategy of the run stands for the row
  kReleased,  // what the authors' released code does: what the printed number measured
  kPaper,     // what the paper describes
  kBoth,
  kChosen,  // the user said that it stands for the row
};
std::string_view stands_for_text(StandsFor stands_for);

/// A printed number and what the run has beside it.
struct ComparedValue {
  PublishedValue theirs;
  StandsFor stands_for = StandsFor::kNothing;
  std::string strategy;  // ours; of a difference "a minus b"
  std::string status;    // why there is no number of ours; empty when there is one
  std::string reason;    // of a failed or left-out cell: the first error
  std::optional<double> ours;
  /// 95 % bootstrap over samples; of a benchmark the quartiles over its runs.
  std::optional<Interval> interval;

  /// ours - theirs.
  std::optional<double> difference() const;
  /// ours / theirs, of perplexities and speeds that are no differences themselves.
  std::optional<double> ratio() const;
  /// Whether our interval and what theirs may have been before it was rounded have a point in
  /// common; absent without both.
  std::optional<bool> within() const;
};

/// Something that decides what a number means, here and there.
struct ProtocolPoint {
  enum class State { kSame, kDiffers, kUnknown };
  std::string name;
  std::string ours;
  std::string theirs;
  State state = State::kUnknown;
};

/// One of our models (on one of our data sets) beside one of theirs.
struct ComparedPair {
  std::string run;      // folder
  std::string fixture;  // as ComparedRun::fixture
  std::string published_model;
  std::string published_data;  // empty for speeds, as is `data`
  std::string model;           // ours, with its dtype (and device other than cpu, of a benchmark)
  std::string data;
  std::string samples;   // "16 samples", with what is missing; empty for speeds
  bool complete = true;  // false when samples are missing, or a benchmark was interrupted
  std::vector<ComparedValue> values;
  std::vector<ProtocolPoint> protocol;
  std::vector<std::string> strategies;  // what ours are: "`a` is elastic with compaction: evict"
};

struct TableComparison {
  PublishedTable table;
  std::vector<ComparedPair> pairs;
};

/// Puts runs beside published tables. A published number stands beside every strategy of a run that
/// stands for its row, at the same budget; where none does it is there all the same, with a status.
/// Tables without a match are left out unless `all_tables`. Error when nothing matches (saying what
/// the runs have and what the tables have), when a run matches no table, with `all_tables` when a
/// table matches no run, and for an override that names nothing.
std::vector<TableComparison> compare_with_published(const std::vector<PublishedTable>& tables,
                                                    const std::vector<ComparedRun>& runs,
                                                    const ComparisonNames& names, bool all_tables);

}  // namespace elastikv
