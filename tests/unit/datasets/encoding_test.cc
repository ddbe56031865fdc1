#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
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
    for (const char* name : {"a.jsonl", "a.txt", "a.tsv"}) {
      EXPECT_ERROR(read_data(files.with(name, bytes)),
                   files.message(name, "not UTF-8 text but " + kind));
    }
  };
  refused("\xff\xfe" + utf16(kItem, false), "UTF-16; save it as UTF-8");
  refused("\xfe\xff" + utf16(kItem, true), "UTF-16; save it as UTF-8");
  refused(utf16(kItem, false), "UTF-16; save it as UTF-8");
  refused(utf16(kItem, true), "UTF-16; save it as UTF-8");
  refused("\xff\xfe\0\0{\0\0\0"s, "UTF-32; save it as UTF-8");
  refused("{\0\0\0}\0\0\0"s, "UTF-32; save it as UTF-8");
  // Neither letter of the first word is Latin; only the line ends have zeros.
  refused("\x2b\x73\x17\x53\x86\x4e\n\0\x2b\x73\x17\x53\x86\x4e\n\0"s, "UTF-16; save it as UTF-8");
  refused("\x1f\x8b\x08", "gzip; unpack it");
  refused("PK\x03\x04", "a zip archive (or a spreadsheet); unpack or export it");
}

TEST(Encoding, NothingButAMarkIsAnEmptyFile) {
  const Files files;
  EXPECT_ERROR(read_data(files.with("a.json", "\xef\xbb\xbf\n")),
               files.message("a.json", "the file is empty"));
  EXPECT_ERROR(read_data(files.with("a.json", "")), files.message("a.json", "the file is empty"));
}

TEST(Encoding, OneZeroIsNoUtf16) {
  const Files files;
  DataOptions text = files.with("a.txt", "one two thr\0eee "s);
  text.context_words = 2;
  text.answer_words = 1;
  EXPECT_EQ(read_data(text).samples.at(0).answer, " thr\0eee"s);
}

TEST(Encoding, Latin1IsNamed) {
  const Files files;
  DataOptions text = files.with("a.txt", "le caf\xe9\nest d\xe9j\xe0 ferm\xe9 \x96 h\xe9las\n");
  text.context_words = 2;
  text.answer_words = 1;
  EXPECT_ERROR(
      read_data(text),
      files.message("a.txt",
                    "2 problems\n"
                    "  lines that are not UTF-8: 2\n"
                    "    line 1: not UTF-8 but, by its bytes, Latin-1 or Windows-1252 (0xe9 "
                    "is '\u00e9' there); save it as UTF-8\n"
                    "    line 2: not UTF-8 but, by its bytes, Latin-1 or Windows-1252 (0xe9 "
                    "is '\u00e9' there); save it as UTF-8"));
  // Broken UTF-8, and other scripts in one byte a letter or in two, are not called that.
  for (const char* other : {"na\u00efve caf\xe9 x", "\xcf\xf0\xe8\xe2\xe5\xf2 \xec\xe8\xf0 x",
                            "\xc4\xe3\xba\xc3 \xca\xc0\xbd\xe7 x", "\x82\xb1\x82\xf1 x y"}) {
    DataOptions options = files.with("a.txt", other);
    options.context_words = 2;
    options.answer_words = 1;
    try {
      read_data(options);
      ADD_FAILURE() << other;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("not UTF-8 (byte 0x"), std::string::npos)
          << error.what();
    }
  }
}

/// The text with every line end as another system has it.
std::string with_line_ends(std::string text, const std::string& end) {
  for (size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + end.size()))
    text.replace(at, 1, end);
  return text;
}

TEST(Encoding, LineEndsOfEverySystemAreTheSame) {
  const Files files;
  const auto content_of = [&](const std::string& name, const std::string& text,
                              const std::string& end) {
    DataOptions options = files.with(name, with_line_ends(text, end));
    options.context_words = 3;
    options.answer_words = 2;
    const DataSet data = read_data(options);
    for (const Sample& sample : data.samples) {
      EXPECT_EQ(sample.question.find('\r'), std::string::npos) << name;
      EXPECT_EQ(sample.answer.find('\r'), std::string::npos) << name;
    }
    return data.content;
  };
  for (const auto& [name, text] : std::vector<std::pair<std::string, std::string>>{
           {"a.txt", "one\ntwo\n\nthree four\nfive\n"},
           {"a.jsonl", kItem + "\n{\"question\": \"r\", \"answer\": \"b\"}\n"s},
           {"a.json", "[\n" + std::string(kItem) + "\n]\n"},
           {"a.tsv",
            "index\timage_path\tquestion\tanswer\n"
            "1\timages/a.png\t\"two\nlines\"\tb\n2\timages/a.png\tq\ta\n"}}) {
    const std::string plain = content_of(name, text, "\n");
    EXPECT_EQ(content_of(name, text, "\r\n"), plain) << name;
    EXPECT_EQ(content_of(name, text, "\r"), plain) << name;
  }
}

TEST(Encoding, LineEndsThatAStringWritesOutAreItsContent) {
  const Files files;
  const DataSet data =
      read_data(files.with("a.jsonl", R"({"question": "q\r\nr", "answer": "a\rb"})"));
  EXPECT_EQ(data.samples.at(0).question, "q\r\nr");
  EXPECT_EQ(data.samples.at(0).answer, "a\rb");
}

TEST(Encoding, BrokenLinesAreReportedWithWhatElseIsWrong) {
  const Files files;
  // The accent as it should be shows that the file is no Latin-1.
  const std::string broken = "{\"id\": \"b\", \"question\": \"\xe9t\u00e9\", \"answer\": \"x\"}\n";
  EXPECT_ERROR(read_data(files.with("a.jsonl", kItem + "\n"s + broken)),
               files.at("a.jsonl") + ":2: not UTF-8 (byte 0xe9)");
  DataOptions several = files.with(
      "a.jsonl", broken + broken + "\n" + broken + R"({"id": "c", "question": "q", "answer": ""})");
  several.ids = RepeatedIds::kRefuse;
  EXPECT_ERROR(read_data(several), files.message("a.jsonl",
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
