#include "sweep/record_files.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <system_error>
#include <tuple>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "sweep/folder.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

/// What stands before the next point, taken off the text; nothing when it is no number from
/// `least`, written as we write it.
std::optional<int64_t> take_number(std::string_view& text, int64_t least) {
  const std::string_view digits = text.substr(0, text.find('.'));
  int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  if (!whole || number < least || std::to_string(number) != digits) return std::nullopt;
  text.remove_prefix(digits.size());
  return number;
}

/// What a file's name says; nothing when it is no such file's.
std::optional<RecordFile> parse_name(std::string_view name, std::string_view stem) {
  if (!name.starts_with(stem)) return std::nullopt;
  name.remove_prefix(stem.size());
  if (name == ".jsonl") return RecordFile{};
  if (!name.starts_with('.')) return std::nullopt;
  name.remove_prefix(1);
  const std::optional<int64_t> rank = take_number(name, /*least=*/0);
  if (!rank) return std::nullopt;
  if (name == ".jsonl") return RecordFile{.path = {}, .run = 1, .rank = *rank};
  if (!name.starts_with('.')) return std::nullopt;
  name.remove_prefix(1);
  const std::optional<int64_t> run = take_number(name, /*least=*/2);
  if (!run || name != ".jsonl") return std::nullopt;
  return RecordFile{.path = {}, .run = *run, .rank = *rank};
}

/// What the cells of one model and data set share, and a sample of it: what a rank evaluates at
/// once.
std::string unit_of(const Record& record) {
  const size_t data = record.cell.find('/');
  const size_t strategy = data == std::string::npos ? data : record.cell.find('/', data + 1);
  return fmt::format("{}/{}", record.cell.substr(0, strategy), record.sample);
}

/// What one file has of a unit.
struct Evaluation {
  size_t file = 0;
  std::vector<Record> records;  // in the order of their lines
};

/// Takes away all but the last record of each cell.
void keep_last(std::vector<Record>& records) {
  std::map<std::string, Record> last;
  for (Record& record : records) {
    std::string cell = record.cell;
    last.insert_or_assign(std::move(cell), std::move(record));
  }
  records.clear();
  for (auto& [cell, record] : last) records.push_back(std::move(record));
}

/// Orders evaluations so that the best comes first, by what they hold alone.
void sort_evaluations(std::vector<Evaluation>& evaluations, const Scorers& scorers) {
  struct Ranked {
    int64_t failed_or_missing;
    std::string text;
    Evaluation evaluation;
  };
  std::vector<Ranked> ranked;
  for (Evaluation& evaluation : evaluations) {
    keep_last(evaluation.records);
    Ranked one{0, "", {}};
    for (const Record& record : evaluation.records) {
      one.failed_or_missing -= record.failed() ? 0 : 1;
      one.text += record_line(record, scorers) + "\n";
    }
    one.evaluation = std::move(evaluation);
    ranked.push_back(std::move(one));
  }
  std::sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
    return std::tie(a.failed_or_missing, a.text) < std::tie(b.failed_or_missing, b.text);
  });
  for (size_t i = 0; i < ranked.size(); ++i) evaluations[i] = std::move(ranked[i].evaluation);
}

/// The records of a unit that count, of files of one run.
void add_unit(std::vector<Evaluation> evaluations, const Scorers& scorers, RecordTable& table) {
  if (evaluations.size() > 1) sort_evaluations(evaluations, scorers);
  std::map<std::string, Record> chosen;
  if (evaluations.size() == 1) {
    for (Record& record : evaluations.front().records) table.add(std::move(record));
    return;
  }
  for (Evaluation& evaluation : evaluations) {
    for (Record& record : evaluation.records) {
      const auto known = chosen.find(record.cell);
      if (known != chosen.end() && (!known->second.failed() || record.failed())) continue;
      std::string cell = record.cell;
      chosen.insert_or_assign(std::move(cell), std::move(record));
    }
  }
  for (auto& [cell, record] : chosen) table.add(std::move(record));
}

}  // namespace

std::string record_file_name(std::string_view stem, int64_t rank, int64_t run) {
  if (run == 0) return fmt::format("{}.jsonl", stem);
  if (run == 1) return fmt::format("{}.{}.jsonl", stem, rank);
  return fmt::format("{}.{}.{}.jsonl", stem, rank, run);
}

std::vector<RecordFile> record_files(const fs::path& folder, std::string_view stem) {
  std::vector<RecordFile> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::optional<RecordFile> file = parse_name(entry->path().filename().string(), stem);
    if (!file) continue;
    file->path = entry->path();
    files.push_back(std::move(*file));
  }
  if (error) fail("{}: cannot be looked at: {}", folder.string(), error.message());
  std::sort(files.begin(), files.end(), [](const RecordFile& a, const RecordFile& b) {
    return std::pair(a.run, a.rank) < std::pair(b.run, b.rank);
  });
  return files;
}

FolderRecords read_folder_records(const fs::path& folder, const Scorers& scorers) {
  return read_folder_records({&folder, 1}, scorers);
}

FolderRecords read_folder_records(std::span<const fs::path> folders, const Scorers& scorers) {
  std::vector<RecordFile> files;
  for (const fs::path& folder : folders) {
    const std::vector<RecordFile> own = record_files(folder, kRecordsStem);
    files.insert(files.end(), own.begin(), own.end());
  }
  std::stable_sort(files.begin(), files.end(),
                   [](const RecordFile& a, const RecordFile& b) { return a.run < b.run; });
  FolderRecords all;
  for (size_t first = 0; first < files.size();) {
    const int64_t run = files[first].run;
    size_t last = first;
    while (last < files.size() && files[last].run == run) ++last;
    if (last == first + 1) {
      const size_t whole = read_records(files[first].path, scorers,
                                        [&](Record record) { all.table.add(std::move(record)); });
      if (run == 0) all.whole_bytes = whole;
    } else {
      std::vector<std::vector<Evaluation>> units;
      std::unordered_map<std::string, size_t> places;
      for (size_t file = first; file < last; ++file) {
        read_records(files[file].path, scorers, [&](Record record) {
          const size_t place = places.try_emplace(unit_of(record), units.size()).first->second;
          if (place == units.size()) units.emplace_back();
          std::vector<Evaluation>& unit = units[place];
          if (unit.empty() || unit.back().file != file) unit.push_back({file, {}});
          unit.back().records.push_back(std::move(record));
        });
      }
      for (std::vector<Evaluation>& unit : units) add_unit(std::move(unit), scorers, all.table);
    }
    all.last_run = run;
    first = last;
  }
  return all;
}

}  // namespace elastikv
