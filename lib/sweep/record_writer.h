#pragma once

#include <algorithm>
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

/// What takes a sweep's records.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  /// Appends records, each a line of its own, and returns when they are on the disk. Error when the
  /// disk is full.
  virtual void append(std::span<const Record> records) = 0;
  /// The same of a line of details.
  virtual void append(const StoredDetail& detail) = 0;
  /// The model, data set and sample of the details that are there.
  virtual bool has_detail(const std::string& model, const std::string& data,
                          const std::string& sample) const = 0;
};

/// The output folder while a sweep writes to it. Holds a lock, so that two processes cannot mix
/// their records. Records are appended to records.jsonl, or to a new file beside them where several
/// ranks have written files of theirs.
///
/// Two phases: opening reads and checks, and changes nothing of what is there; `begin` is the one
/// place from which on the folder is this run's. So a run that is refused, by the folder or by what
/// its caller finds in `stored`, leaves everything as it was.
class RecordWriter final : public RecordSink {
 public:
  /// Opens the folder for this sweep, or makes it. Error when it holds records and `resume` is
  /// false, when they are another sweep's or were made by other revisions of the program's parts
  /// (saying what differs), and when another process is writing there.
  RecordWriter(const std::filesystem::path& folder, SweepHeader header, const Scorers& scorers,
               bool resume);
  /// Before `begin`, takes away what opening made.
  ~RecordWriter() override;
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
  void append(std::span<const Record> records) override;
  void append(const StoredDetail& detail) override;

  bool has_detail(const std::string& model, const std::string& data,
                  const std::string& sample) const override;

  /// What is written as sweep.json.
  const SweepHeader& header() const { return header_; }
  /// The number of the run that ranks begin here (record_files.h): after all that have written.
  int64_t next_rank_run() const { return std::max<int64_t>(1, run_); }

 private:
  void leave();
  std::filesystem::path records_file() const;
  std::filesystem::path details_file() const;
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
  int lock_ = -1;                                 // of records.jsonl, whoever writes
  int descriptor_ = -1;                           // of the file that is written to
  int64_t run_ = 0;                               // of that file (record_files.h)
  int64_t whole_bytes_ = 0;         // of records.jsonl, up to the end of its last whole line
  int64_t whole_detail_bytes_ = 0;  // likewise of details.jsonl
  bool made_file_ = false;
  bool begun_ = false;
};

}  // namespace elastikv
