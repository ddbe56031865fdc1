#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "metrics/scorer.h"
#include "sweep/record_writer.h"
#include "sweep/records.h"

namespace elastikv {

/// The files that one rank of a sweep adds to the output folder (record_files.h): new ones, which
/// nobody else writes to, so that nothing but appending to a file is asked of a folder that
/// machines share. They are made with the first line.
class RankRecords final : public RecordSink {
 public:
  RankRecords(std::filesystem::path folder, Scorers scorers, int64_t rank, int64_t run);
  ~RankRecords() override;
  RankRecords(const RankRecords&) = delete;
  RankRecords& operator=(const RankRecords&) = delete;

  void append(std::span<const Record> records) override;
  void append(const StoredDetail& detail) override;
  /// What other ranks have looked at is not known here.
  bool has_detail(const std::string& /*model*/, const std::string& /*data*/,
                  const std::string& /*sample*/) const override {
    return false;
  }

 private:
  struct File {
    const char* stem;
    std::filesystem::path path = {};
    int descriptor = -1;
  };
  void append(File& file, const std::string& lines);

  std::filesystem::path folder_;
  Scorers scorers_;
  int64_t rank_;
  int64_t run_;
  File records_;
  File details_;
};

}  // namespace elastikv
