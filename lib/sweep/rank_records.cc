#include "sweep/rank_records.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "sweep/folder.h"
#include "sweep/record_files.h"

namespace elastikv {

RankRecords::RankRecords(std::filesystem::path folder, Scorers scorers, int64_t rank, int64_t run)
    : folder_(std::move(folder)),
      scorers_(std::move(scorers)),
      rank_(rank),
      run_(run),
      records_{kRecordsStem},
      details_{kDetailsStem} {}

RankRecords::~RankRecords() {
  for (const File* file : {&records_, &details_}) {
    if (file->descriptor >= 0) close(file->descriptor);
  }
}

void RankRecords::append(std::span<const Record> records) {
  std::string lines;
  for (const Record& record : records) lines += record_line(record, scorers_) + "\n";
  append(records_, lines);
}

void RankRecords::append(const StoredDetail& detail) {
  append(details_, detail_line(detail) + "\n");
}

void RankRecords::append(File& file, const std::string& lines) {
  // A process that came as this rank before has written a file of this name: it is left alone.
  for (int64_t run = run_; file.descriptor < 0; ++run) {
    file.path = folder_ / record_file_name(file.stem, rank_, run);
    file.descriptor =
        open(file.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    if (file.descriptor < 0 && errno != EEXIST)
      fail("{}: cannot open: {}", file.path.string(), std::strerror(errno));
  }
  append_durably(file.descriptor, lines, file.path);
}

}  // namespace elastikv
