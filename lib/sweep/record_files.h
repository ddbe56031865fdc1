#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/scorer.h"
#include "sweep/records.h"

namespace elastikv {

// Which files of an output folder hold its records. A process by itself writes records.jsonl; each
// of several writes a file of its own, so that none ever touches what another one has written:
// records.RANK.jsonl, and records.RANK.RUN.jsonl where the folder has such files of earlier runs.
// Details are kept in files that are named likewise.

/// A file of records, or of details.
struct RecordFile {
  std::filesystem::path path;
  /// Later runs have a higher number; 0: of processes by themselves, who wrote before any rank did.
  int64_t run = 0;
  int64_t rank = 0;
};

/// "records.jsonl" for run 0, "records.3.jsonl" for rank 3 of run 1, "records.3.2.jsonl" of run 2.
/// `stem`: "records" or "details".
std::string record_file_name(std::string_view stem, int64_t rank, int64_t run);

/// The files of a folder that is there, by run, then by rank.
std::vector<RecordFile> record_files(const std::filesystem::path& folder, std::string_view stem);

/// The records of a folder, whichever of its files hold them.
struct FolderRecords {
  RecordTable table;
  size_t whole_bytes = 0;  // of records.jsonl, up to the end of its last whole line
  int64_t last_run = 0;    // of the files
};

/// Reads them all, without the torn last lines of processes that were killed. Where several records
/// are of one sample and cell, that of the latest run counts, and within a file the last one. Where
/// ranks of one run have evaluated the same sample (one was taken for lost), that evaluation counts
/// which has most cells that did not fail, or else the one that their content puts first: nothing
/// depends on which file holds what. A cell that failed in it counts as the other has it.
/// Error with the file and the line of the first damaged one.
FolderRecords read_folder_records(const std::filesystem::path& folder, const Scorers& scorers);
/// The same of folders that hold parts of one sweep, as if their files lay in one.
FolderRecords read_folder_records(std::span<const std::filesystem::path> folders,
                                  const Scorers& scorers);

}  // namespace elastikv
