#include "sweep/record_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "sweep/config.h"
#include "sweep/folder.h"
#include "sweep/folder_lease.h"
#include "sweep/record_files.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

/// The first part of the program whose revision differs, as "PART (revision 1, this program has
/// 2)"; empty when all that both know are the same.
std::string differing_revision(const std::map<std::string, int64_t>& theirs,
                               const std::map<std::string, int64_t>& ours) {
  for (const auto& [part, revision] : ours) {
    const auto before = theirs.find(part);
    if (before != theirs.end() && before->second != revision)
      return fmt::format("{} (revision {}, this program has {})", part, before->second, revision);
  }
  return "";
}

/// Makes a folder and those above it that are missing; returns what it made, outermost first.
std::vector<fs::path> make_folders(const fs::path& folder) {
  std::vector<fs::path> missing;
  std::error_code error;
  for (fs::path path = folder; !path.empty() && !fs::exists(path, error);
       path = path.parent_path()) {
    if (path.has_filename()) missing.insert(missing.begin(), path);  // not for a trailing slash
    if (path == path.parent_path()) break;
  }
  fs::create_directories(folder, error);
  if (error) fail("{}: cannot be made as the output folder: {}", folder.string(), error.message());
  return missing;
}

bool holds_records(const fs::path& folder) {
  const std::vector<RecordFile> files = record_files(folder, kRecordsStem);
  return std::any_of(files.begin(), files.end(),
                     [](const RecordFile& file) { return fs::file_size(file.path) > 0; });
}

void cut_off(const fs::path& file, int64_t bytes) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  if (error || static_cast<int64_t>(size) <= bytes) return;
  if (truncate(file.c_str(), static_cast<off_t>(bytes)) != 0)
    fail("{}: cannot cut off a torn line: {}", file.string(), std::strerror(errno));
}

}  // namespace

RecordWriter::RecordWriter(const fs::path& folder, SweepHeader header, const Scorers& scorers,
                           bool resume)
    : folder_(folder), header_(std::move(header)), scorers_(scorers) {
  if (fs::exists(folder) && !fs::is_directory(folder)) {
    fail("{}: cannot be made as the output folder: a file of that name exists", folder.string());
  }
  made_ = make_folders(folder);
  const fs::path file = folder / kRecordsFile;
  made_file_ = !fs::exists(file);
  lock_ = open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (lock_ < 0) fail("{}: cannot open: {}", file.string(), std::strerror(errno));
  descriptor_ = lock_;
  try {
    if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
      made_file_ = false;  // the other process's by now
      fail("{}: another process is writing a sweep there", folder.string());
    }
    // Ranks may write there on machines that the lock does not reach.
    FolderLease::require_free(folder);
    if (holds_records(folder)) {
      check_header(resume);
      FolderRecords records = read_folder_records(folder, scorers_);
      stored_ = std::move(records.table);
      for (const Record& record : stored_)
        stored_models_.insert(record.cell.substr(0, record.cell.find('/')));
      whole_bytes_ = static_cast<int64_t>(records.whole_bytes);
      // What ranks have written is never added to.
      if (records.last_run > 0) {
        run_ = records.last_run + 1;
        descriptor_ = -1;  // a new file, with the first record
      }
      read_details();
    }
  } catch (...) {
    leave();
    throw;
  }
}

RecordWriter::~RecordWriter() { leave(); }

void RecordWriter::leave() {
  if (!begun_) {
    std::error_code ignored;
    if (made_file_) fs::remove(folder_ / kRecordsFile, ignored);
    // Folders that are not empty stay.
    for (auto path = made_.rbegin(); path != made_.rend(); ++path) fs::remove(*path, ignored);
  }
  if (descriptor_ != lock_ && descriptor_ >= 0) close(descriptor_);
  if (lock_ >= 0) close(lock_);
}

fs::path RecordWriter::records_file() const {
  return folder_ / record_file_name(kRecordsStem, /*rank=*/0, run_);
}

fs::path RecordWriter::details_file() const {
  return folder_ / record_file_name(kDetailsStem, /*rank=*/0, run_);
}

void RecordWriter::check_header(bool resume) {
  const std::string folder = folder_.string();
  if (!fs::exists(folder_ / kHeaderFile)) {
    fail("{}: holds records of an unknown sweep (no {}); use another --output", folder,
         kHeaderFile);
  }
  SweepHeader stored = read_header(folder_);
  if (stored.name != header_.name) {
    fail("{}: holds the records of another sweep, '{}' (this one is '{}'); use another --output",
         folder, stored.name, header_.name);
  }
  if (stored.records_hash != header_.records_hash) {
    fail("{}: holds the records of sweep '{}' with other settings ({}); use another --output",
         folder, stored.name, differing_settings(header_.config, stored.config));
  }
  if (stored.program != header_.program) {
    fail("{}: holds records of ElastiKV {}, this is {}; use another --output", folder,
         stored.program, header_.program);
  }
  if (stored.revisions.empty() && !header_.revisions.empty()) {
    fail(
        "{}: holds records of an earlier program, which kept no revisions: nothing says whether "
        "this one would give the same results; use another --output",
        folder);
  }
  const std::string revision = differing_revision(stored.revisions, header_.revisions);
  if (!revision.empty()) {
    fail("{}: holds records made with another {}, which gives other results; use another --output",
         folder, revision);
  }
  if (stored.shard != header_.shard) {
    const auto what = [](const std::optional<Shard>& shard) {
      return shard ? fmt::format("shard {}", shard->text()) : std::string("all samples");
    };
    fail("{}: holds records of {}, this is {}; use another --output", folder, what(stored.shard),
         what(header_.shard));
  }
  if (!resume) {
    fail("{}: holds records of this sweep; use --resume to continue it, or another --output",
         folder);
  }
  header_.engines = std::move(stored.engines);
  header_.revisions.insert(stored.revisions.begin(), stored.revisions.end());
}

void RecordWriter::read_details() {
  for (const RecordFile& file : record_files(folder_, kDetailsStem)) {
    const size_t whole =
        read_lines(file.path, [&](std::string_view line, const std::string& place) {
          const StoredDetail detail = parse_detail_line(line, place);
          details_.insert({detail.model, detail.data, detail.sample});
        });
    if (file.run == 0) whole_detail_bytes_ = static_cast<int64_t>(whole);
  }
}

const EngineIdentity* RecordWriter::stored_engine(const std::string& model_name) const {
  const auto known = header_.engines.find(model_name);
  if (known == header_.engines.end() || !stored_models_.contains(model_name)) return nullptr;
  return &known->second;
}

void RecordWriter::check_engine(const std::string& model_name,
                                const EngineIdentity& identity) const {
  const EngineIdentity* before = stored_engine(model_name);
  if (before == nullptr) return;
  const std::string_view what = before->difference(identity);
  if (!what.empty()) {
    fail("{}: its records of model '{}' were made with {}; use another --output", folder_.string(),
         model_name, what);
  }
}

void RecordWriter::begin() {
  if (begun_) return;
  begun_ = true;
  if (run_ == 0) {
    cut_off(records_file(), whole_bytes_);
    if (fs::exists(details_file())) cut_off(details_file(), whole_detail_bytes_);
  }
  write_header();
  if (samples_) write_file_atomically(folder_ / kSamplesFile, *samples_);
}

void RecordWriter::note_engine(const std::string& model_name, const EngineIdentity& identity) {
  header_.engines[model_name] = identity;
  if (begun_) {
    write_header();
  } else {
    begin();
  }
}

void RecordWriter::append(std::span<const Record> records) {
  begin();
  if (records.empty()) return;
  if (descriptor_ < 0) {
    const fs::path file = records_file();
    descriptor_ = open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail("{}: cannot open: {}", file.string(), std::strerror(errno));
  }
  std::string lines;
  for (const Record& record : records) lines += record_line(record, scorers_) + "\n";
  append_durably(descriptor_, lines, records_file());
}

void RecordWriter::append(const StoredDetail& detail) {
  begin();
  const fs::path file = details_file();
  const int descriptor = open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor < 0) fail("{}: cannot open: {}", file.string(), std::strerror(errno));
  try {
    append_durably(descriptor, detail_line(detail) + "\n", file);
  } catch (...) {
    close(descriptor);
    throw;
  }
  close(descriptor);
  details_.insert({detail.model, detail.data, detail.sample});
}

bool RecordWriter::has_detail(const std::string& model, const std::string& data,
                              const std::string& sample) const {
  return details_.contains({model, data, sample});
}

void RecordWriter::write_header() const {
  write_file_atomically(folder_ / kHeaderFile, header_text(header_));
}

}  // namespace elastikv
