#include <string>

#include <gtest/gtest.h>

#include "support.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

using namespace std::string_literals;

constexpr const char* kItem = R"({"id": "a", "question": "q", "answer": "na\u00efve \u732b"})";

std::string utf16(std::string_view ascii, bool big_endian) {
  std::string bytes;
  for (const char letter : ascii) bytes += big_endian ? "\0"s + letter : letter + "\0"s;
  return bytes;
}

TEST(Encoding, ByteOrderMarkOfUtf8IsNoPartOfTheText) {
  const Files files;
  const std::string mark = "\xef\xbb\xbf";
  const DataSet with = read_data(files.with("a.jsonl", mark + kItem + "\n"));
  EXPECT_EQ(with.samples.at(0).answer, "na\u00efve \u732b");
  EXPECT_EQ(with.content, read_data(files.with("a.jsonl", kItem)).content);
  EXPECT_EQ(read_data(files.with("a.json", mark + "[" + kItem + "]")).content, with.content);
  EXPECT_EQ(
      read_data(files.with("a.tsv", mark + "index\timage_path\tquestion\tanswer\n1\ta.png\tq\ta\n"))
          .format,
      "vlmevalkit-tsv");
  DataOptions text = files.with("a.txt", mark + "one two three");
  text.context_words = 2;
  text.answer_words = 1;
  EXPECT_EQ(read_data(text).samples.at(0).question, "one two");
}

TEST(Encoding, OtherOnesAreNamed) {
  const Files files;
  const auto refused = [&](const std::string& bytes, const std::string& kind) {
    EXPECT_ERROR(read_data(files.with("a.jsonl", bytes)),
                 files.message("a.jsonl", "not UTF-8 text but " + kind));
  };
  refused("\xff\xfe" + utf16(kItem, false), "UTF-16; save it as UTF-8");
  refused("\xfe\xff" + utf16(kItem, true), "UTF-16; save it as UTF-8");
  refused(utf16(kItem, false), "UTF-16; save it as UTF-8");
  refused(utf16(kItem, true), "UTF-16; save it as UTF-8");
  refused("\xff\xfe\0\0{\0\0\0"s, "UTF-32; save it as UTF-8");
  refused("PAR1\x15\x04", "Parquet; export it as JSON lines");
  refused("\x1f\x8b\x08", "gzip; unpack it");
  refused("PK\x03\x04", "a zip archive (or a spreadsheet); unpack or export it");
}

TEST(Encoding, NothingButAMarkIsAnEmptyFile) {
  const Files files;
  EXPECT_ERROR(read_data(files.with("a.json", "\xef\xbb\xbf\n")),
               files.message("a.json", "the file is empty"));
  EXPECT_ERROR(read_data(files.with("a.json", "")), files.message("a.json", "the file is empty"));
}

TEST(Encoding, BrokenLinesAreReportedWithWhatElseIsWrong) {
  const Files files;
  const std::string broken = "{\"id\": \"b\", \"question\": \"\xe9t\xe9\", \"answer\": \"x\"}\n";
  EXPECT_ERROR(read_data(files.with("a.jsonl", kItem + "\n"s + broken)),
               files.at("a.jsonl") + ":2: not UTF-8 (byte 0xe9)");
  EXPECT_ERROR(
      read_data(files.with("a.jsonl", broken + broken + "\n" + broken +
                                          R"({"id": "c", "question": "q", "answer": ""})")),
      files.message("a.jsonl",
                    "6 problems\n"
                    "  lines that are not UTF-8: 3\n"
                    "    line 1: not UTF-8 (byte 0xe9)\n"
                    "    line 2: not UTF-8 (byte 0xe9)\n"
                    "    line 4: not UTF-8 (byte 0xe9)\n"
                    "  repeated ids: 2\n"
                    "    line 2 ('b'): the id is used before\n"
                    "    line 4 ('b'): the id is used before\n"
                    "  empty texts: 1\n"
                    "    line 5 ('c'): the answer is empty"));
}

}  // namespace
}  // namespace elastikv
