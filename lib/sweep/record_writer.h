#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "sweep/cell.h"
#include "sweep/records.h"

namespace elastikv {

/// The output folder while a sweep writes to it. Holds a lock, so that two processes cannot mix
/// their records.
///
/// Two phases: opening reads and checks, and changes nothing of what is there; `begin` is the one
/// place from which on the folder is this run's. So a run that is refused, by the folder or by what
/// its caller finds in `stored`, leaves everything as it was.
class RecordWriter {
 public:
  /// Opens the folder for this sweep, or makes it. Error when it holds records and `resume` is
  /// false, when they are another sweep's or were made by other revisions of the program's parts
  /// (saying what differs), and when another process is writing there.
  RecordWriter(const std::filesystem::path& folder, SweepHeader header, const Scorers& scorers,
               bool resume);
  /// Before `begin`, takes away what opening made.
  ~RecordWriter();
  RecordWriter(const RecordWriter&) = delete;
  RecordWriter& operator=(const RecordWriter&) = delete;

  /// The records that were there when the folder was opened.
  const RecordTable& stored() const { return stored_; }
  /// What sweep.json said of a model's engine; nullptr when no record of that model is there.
  const EngineIdentity* stored_engine(const std::string& model_name) const;
  /// Error when stored records of a model come from an engine with another identity, saying which
  /// part differs.
  void check_engine(const std::string& model_name, const EngineIdentity& identity) const;

  /// The lines of samples.jsonl (sample_line) to be written in place of those that are there; not
  /// called: they stay.
  void set_samples(std::string lines) { samples_ = std::move(lines); }
  /// Writes sweep.json and samples.jsonl and cuts off torn last lines; once, later calls do
  /// nothing.
  void begin();

  // Each of these begins first.

  /// Notes the engine of a model in sweep.json.
  void note_engine(const std::string& model_name, const EngineIdentity& identity);
  /// Appends records, each a line of its own, and returns when they are on the disk. Error when the
  /// disk is full.
  void append(std::span<const Record> records);
  /// Adds a line to details.jsonl and returns when it is on the disk.
  void append(const StoredDetail& detail);

  /// The model, data set and sample of the details that are there.
  bool has_detail(const std::string& model, const std::string& data,
                  const std::string& sample) const;

 private:
  void leave();
  void check_header(bool resume);
  void read_details();
  void write_header() const;

  std::filesystem::path folder_;
  SweepHeader header_;
  Scorers scorers_;
  std::optional<std::string> samples_;
  RecordTable stored_;
  std::set<std::string> stored_models_;           // Cell::model
  std::set<std::array<std::string, 3>> details_;  // model, data set, sample
  std::vector<std::filesystem::path> made_;       // folders that opening made, outermost first
  int descriptor_ = -1;
  int64_t whole_bytes_ = 0;         // of records.jsonl, up to the end of its last whole line
  int64_t whole_detail_bytes_ = 0;  // likewise of details.jsonl
  bool made_file_ = false;
  bool begun_ = false;
};

}  // namespace elastikv
