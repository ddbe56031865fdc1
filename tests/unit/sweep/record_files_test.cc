#include "sweep/record_files.h"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "sweep/folder.h"

namespace elastikv {
namespace {

/// The records of a folder as lines, sorted.
class RecordFiles : public testing::Test {
 protected:
  static Record record(const std::string& cell, const std::string& sample, double nll,
                       const std::string& error = {}) {
    Record record;
    record.cell = cell;
    record.sample = sample;
    record.key = "key";
    record.item = "item";
    record.outcome.error = error;
    record.outcome.nll_sum = nll;
    return record;
  }
  static std::string line(const std::string& cell, const std::string& sample, double nll,
                          const std::string& error = {}) {
    return record_line(record(cell, sample, nll, error), {}) + "\n";
  }
  /// "CELL SAMPLE NLL" of each record, sorted; a failed one has its error.
  std::string read() const {
    const FolderRecords records = read_folder_records(folder_.path(), {});
    std::vector<std::string> lines;
    for (const Record& one : records.table) {
      lines.push_back(
          fmt::format("{} {} {}; ", one.cell.substr(4), one.sample,
                      one.failed() ? one.outcome.error : fmt::format("{}", one.outcome.nll_sum)));
    }
    std::sort(lines.begin(), lines.end());
    std::string text;
    for (const std::string& one : lines) text += one;
    return text;
  }

  TemporaryFolder folder_;
};

TEST_F(RecordFiles, AreKnownByTheirNames) {
  EXPECT_EQ(record_file_name("records", 3, 0), "records.jsonl");
  EXPECT_EQ(record_file_name("records", 3, 1), "records.3.jsonl");
  EXPECT_EQ(record_file_name("details", 0, 2), "details.0.2.jsonl");
  for (const char* name :
       {"records.10.jsonl", "records.2.jsonl", "records.jsonl", "records.0.2.jsonl",
        "records.0.10.jsonl", "details.1.jsonl", "records.jsonl.17.tmp", "records.1.1.jsonl",
        "records.01.jsonl", "records.-1.jsonl", "records.a.jsonl", "records..jsonl",
        "records.1.2.3.jsonl", "records.1.jsonl.xz", "records",
        "records.99999999999999999999.jsonl"})
    folder_.write(name, "");
  std::string found;
  for (const RecordFile& file : record_files(folder_.path(), "records"))
    found += fmt::format("{} {} {}\n", file.path.filename().string(), file.run, file.rank);
  EXPECT_EQ(found,
            "records.jsonl 0 0\n"
            "records.2.jsonl 1 2\n"
            "records.10.jsonl 1 10\n"
            "records.0.2.jsonl 2 0\n"
            "records.0.10.jsonl 10 0\n");
}

TEST_F(RecordFiles, TornLinesCostTheirOwnFileAlone) {
  folder_.write("records.0.jsonl", line("m/d/a", "s", 1) + "{\"cell\": \"m/d");
  folder_.write("records.1.jsonl", line("m/d/b", "s", 2));
  folder_.write("records.2.jsonl", "{");
  folder_.write("records.jsonl", line("m/d/c", "s", 3) + "{");
  EXPECT_EQ(read(), "a s 1; b s 2; c s 3; ");
  EXPECT_EQ(read_folder_records(folder_.path(), {}).last_run, 1);
  EXPECT_EQ(read_folder_records(folder_.path(), {}).whole_bytes, line("m/d/c", "s", 3).size());
  folder_.write("records.1.jsonl", line("m/d/b", "s", 2) + "{}\n");
  EXPECT_ERROR_CONTAINS(read(), "records.1.jsonl:2: damaged record: key 'cell' is missing");
}

TEST_F(RecordFiles, LaterRunsCountAndLaterLinesOfAFile) {
  folder_.write("records.jsonl", line("m/d/a", "s", 1) + line("m/d/b", "s", 1));
  folder_.write("records.7.jsonl", line("m/d/a", "s", 2, "torn") + line("m/d/a", "s", 3));
  EXPECT_EQ(read(), "a s 3; b s 1; ");
  folder_.write("records.0.2.jsonl", line("m/d/a", "s", 4) + line("m/d/b", "s", 4, "torn"));
  EXPECT_EQ(read(), "a s 4; b s torn; ");
}

// A rank that was taken for lost goes on, while another one evaluates its sample, too.
TEST_F(RecordFiles, OneEvaluationOfASampleCountsWhereverItStands) {
  const std::string one = line("m/d/a", "s", 1) + line("m/d/b", "s", 1);
  const std::string other = line("m/d/a", "s", 2) + line("m/d/b", "s", 2);
  const std::string another_sample = line("m/d/a", "t", 7);
  folder_.write("records.0.jsonl", one);
  folder_.write("records.1.jsonl", another_sample + other);
  const std::string found = read();
  EXPECT_EQ(found, "a s 1; a t 7; b s 1; ");
  folder_.write("records.0.jsonl", other);
  folder_.write("records.1.jsonl", one + another_sample);
  EXPECT_EQ(read(), found);
  // One that was killed while it wrote has less, and one in which a cell failed, too.
  folder_.write("records.1.jsonl", another_sample + line("m/d/a", "s", 1));
  EXPECT_EQ(read(), "a s 2; a t 7; b s 2; ");
  folder_.write("records.1.jsonl", line("m/d/a", "s", 1) + line("m/d/b", "s", 1, "no memory"));
  EXPECT_EQ(read(), "a s 2; b s 2; ");
  folder_.write("records.0.jsonl", line("m/d/a", "s", 2, "no memory"));
  EXPECT_EQ(read(), "a s 1; b s no memory; ");
  folder_.write("records.0.jsonl", line("m/d/b", "s", 2) + line("m/d/c", "s", 0, "no memory"));
  const std::string mixed = read();
  EXPECT_EQ(mixed.substr(mixed.find("c s")), "c s no memory; ");
}

}  // namespace
}  // namespace elastikv
