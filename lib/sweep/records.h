#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "datasets/sample.h"
#include "metrics/scorer.h"
#include "sweep/cell.h"

namespace elastikv {

/// What is known of one sample in one cell: one line of a file of records.
struct Record {
  std::string cell;    // Cell::id
  std::string sample;  // Sample::id
  std::string item;    // Sample::content
  std::string key;     // record_key of everything that could have changed this record
  std::string commit;  // of the program that made it; empty when not known
  bool hidden = false;

  /// With error, when it failed. Then only the fields above and the shared ones below hold.
  CellOutcome outcome;
  /// One per scorer of the sweep's metrics, in their order (MetricSet::scorers); empty where
  /// nothing was scored.
  Scores scores;

  // The same in all records of a sample.
  int64_t prompt_tokens = 0;
  int64_t image_tokens = 0;
  SharedSeconds shared;

  bool failed() const { return !outcome.error.empty(); }
};

/// A record as one line of JSON without the line end, keys in a fixed order. All lines and files of
/// an output folder are written so that reading gives the same bits of every floating-point number,
/// those that are not finite too, and the same text of every string (bytes that are no UTF-8 become
/// U+FFFD: JSON has no form for them).
std::string record_line(const Record& record, const Scorers& scorers);
/// The reverse; Error that begins with `place` when the line is no record.
Record parse_record(std::string_view line, const Scorers& scorers, const std::string& place);

/// Which of several shares of a sweep's samples: every `count`-th of each data set, from the
/// `index`-th on, both from 1.
struct Shard {
  int64_t index = 1;
  int64_t count = 1;

  /// Whether a sample is in it, by its place in the data set from 0.
  bool holds(size_t sample) const { return static_cast<int64_t>(sample) % count == index - 1; }
  /// "2/4".
  std::string text() const;
  bool operator==(const Shard&) const = default;
};

/// What sweep.json beside the records says: whose they are.
struct SweepHeader {
  std::string name;
  std::string config;        // SweepConfig::json, itself readable as a sweep
  std::string records_hash;  // SweepConfig::records_hash
  std::string program;       // version
  /// revision_of every part of the program that its records depend on, by the part's name.
  std::map<std::string, int64_t> revisions;
  /// When, where and with what it was run last: nothing that a table depends on.
  std::map<std::string, std::string> provenance;
  /// Per model name, once its engine was opened.
  std::map<std::string, EngineIdentity> engines;
  /// Per data set name: its content hash and the ids of the samples that are used, in order.
  struct Data {
    std::string format;
    std::string content;
    std::vector<std::string> samples;
  };
  std::map<std::string, Data> data;
  /// Of which share of the samples the records are; none: of all.
  std::optional<Shard> shard;
  /// By strategy a hash of all its parameters, where several processes make the records and nobody
  /// else compares theirs.
  std::map<std::string, std::string> strategies;
};

/// sweep.json, and the reverse; Error that begins with `place` when the text is no such
/// description. One made before revisions were kept has none.
std::string header_text(const SweepHeader& header);
SweepHeader parse_header(std::string_view text, const std::string& place);

/// Records by (cell, sample). Of several records of one pair the last one counts: a sample that was
/// evaluated again after a failure or an interruption.
class RecordTable {
 public:
  void add(Record record);
  /// nullptr when there is none.
  const Record* find(std::string_view cell, std::string_view sample) const;
  size_t size() const { return records_.size(); }
  /// In the order in which their pairs were first added.
  auto begin() const { return records_.begin(); }
  auto end() const { return records_.end(); }

 private:
  /// Numbers names from 0.
  class Names {
   public:
    size_t add(const std::string& name);
    std::optional<size_t> find(std::string_view name) const;

   private:
    struct Hash {
      using is_transparent = void;
      size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
    };
    std::unordered_map<std::string, size_t, Hash, std::equal_to<>> numbers_;
  };

  std::deque<Record> records_;
  Names cells_;
  Names samples_;
  std::vector<std::vector<uint32_t>> places_;  // [cell][sample] in records_, from 1; 0: none
};

/// A sample as the output folder keeps it, so that reports and exports need no data set.
struct StoredSample {
  std::string id;
  std::string question;
  std::string answer;
  std::vector<std::string> references;  // as in Sample
  std::vector<std::string> categories;
  std::vector<std::string> images;  // files
  std::string cluster = {};         // as in Sample
  std::string group = {};           // as in Sample
  /// Why it could not be evaluated at all (a missing image): known before anything was loaded.
  std::string problem = {};
  std::vector<std::string> votes = {};    // as in Sample
  std::vector<std::string> options = {};  // as in Sample
  int64_t turn = 0;                       // as in Sample
};

/// One sample of one model and data set to look at, with the cells it is about.
struct StoredDetail {
  std::string model;  // Cell::model
  std::string data;
  std::string sample;
  std::vector<std::string> cells;  // Cell::id, one per entry of detail.kept
  SampleDetail detail;
};

/// A sweep's output folder as it was left.
struct StoredSweep {
  SweepHeader header;
  RecordTable records;
  /// By data set, in its order; a folder made before samples were kept has none.
  std::map<std::string, std::vector<StoredSample>> samples;
  /// By model and data set: those of a model that reads other samples than the first one does,
  /// because it cuts the same text into other windows of tokens.
  std::map<std::pair<std::string, std::string>, std::vector<StoredSample>> model_samples;
  /// Of a few samples, in the order of the cells' groups and of the samples.
  std::vector<StoredDetail> details;

  /// The samples as a model reads them; nullptr when there are none.
  const std::vector<StoredSample>* samples_of(const std::string& model,
                                              const std::string& data) const;
};

/// A sample as it is kept.
StoredSample stored_sample(const Sample& sample);
/// A line of samples.jsonl, without its line end; `data` names the data set, `model` the one that
/// the sample is for, where it is not the same for all.
std::string sample_line(const std::string& data, const StoredSample& sample,
                        const std::string& model = {});
/// What a line of samples.jsonl says.
struct SampleEntry {
  std::string data;
  std::string model;  // empty: of all models
  StoredSample sample;
};
/// Error that begins with `place` when the line is none.
SampleEntry parse_sample_line(std::string_view line, const std::string& place);

/// A line of details.jsonl; importance is rounded to the four digits that a plot shows.
std::string detail_line(const StoredDetail& detail);
/// The reverse; Error that begins with `place` when the line is none.
StoredDetail parse_detail_line(std::string_view line, const std::string& place);

/// Reads an output folder: sweep.json, records.jsonl or the files of several ranks as one
/// (record_files.h) and, where they are, samples.jsonl and details.jsonl. Details whose importance
/// is not finite are left out: nothing can be drawn of them. Error when it holds no sweep or a
/// damaged one; a torn last line (the trace of a process that was killed while writing) is not
/// damage and is left out.
StoredSweep read_stored_sweep(const std::filesystem::path& folder);
/// The same of several folders that hold parts of one sweep, which `header` describes. Samples are
/// those of the first folder, which have to be those of all.
StoredSweep read_stored_sweep(std::span<const std::filesystem::path> folders, SweepHeader header);
/// sweep.json of an output folder. Error when it holds no sweep, or none with records.
SweepHeader read_stored_header(const std::filesystem::path& folder);

}  // namespace elastikv
