#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "datasets/file_text.h"
#include "datasets/python_list.h"
#include "datasets/tsv_table.h"
#include "support.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

using Row = std::vector<std::string>;
using Texts = std::vector<std::string>;

/// The header and the rows of a table, as texts.
std::vector<Row> rows_of(std::string_view text) {
  const Files files;
  Problems problems("table");
  FileText file(files.folder.write("t.tsv", text), problems);
  const TsvTable table = read_tsv_table(file, problems);
  problems.refuse_if_any();
  std::vector<Row> rows{Row(table.header.begin(), table.header.end())};
  for (const TsvRow& row : table.rows) rows.emplace_back(row.fields.begin(), row.fields.end());
  return rows;
}

TEST(TsvTable, PlainFields) {
  const std::vector<Row> expected{{"a", "b"}, {"1", ""}, {"", "2"}, {"x y", "\u732b"}};
  EXPECT_EQ(rows_of("a\tb\n1\t\n\t2\nx y\t\u732b\n"), expected);
  EXPECT_EQ(rows_of("a\tb\n1\t\n\t2\nx y\t\u732b"), expected);
  EXPECT_EQ(rows_of("a\tb\r\n1\t\r\n\t2\r\nx y\t\u732b\r\n"), expected);
  EXPECT_EQ(rows_of("a\tb\n\n1\t\n\t2\n\r\nx y\t\u732b\n\n"), expected);
}

TEST(TsvTable, QuotedFields) {
  // Line ends become "\n" within quotes as well, where pandas keeps them.
  EXPECT_EQ(rows_of("a\tb\n\"1\t2\"\t\"3\n4\r\n5\"\r\n"),
            (std::vector<Row>{{"a", "b"}, {"1\t2", "3\n4\n5"}}));
  EXPECT_EQ(rows_of("\"a\"\tb\n\"say \"\"x\"\"\"\t\"\"\n\"\"\"\"\tc"),
            (std::vector<Row>{{"a", "b"}, {"say \"x\"", ""}, {"\"", "c"}}));
  // Quotes within a field and after one stand for themselves.
  EXPECT_EQ(rows_of("a\tb\n5\" wide\t\"x\"y\"z\n"),
            (std::vector<Row>{{"a", "b"}, {"5\" wide", "xy\"z"}}));
}

TEST(TsvTable, RaggedRowsAndOpenQuotesNameTheirLine) {
  EXPECT_ERROR(rows_of("a\tb\n1\t2\t3\n"), "table:2: 3 fields, the header has 2");
  EXPECT_ERROR(rows_of("a\tb\n1\t2\n3\n"), "table:3: 1 field, the header has 2");
  EXPECT_ERROR(rows_of("a\tb\n1\t\"2\n3\n"), "table:2: a quote is opened here and never closed");
  // The lines within a quoted field count.
  EXPECT_ERROR(rows_of("a\tb\n1\t\"2\n3\"\n4\n"), "table:4: 1 field, the header has 2");
}

TEST(PythonList, StringsAsPythonPrintsThem) {
  EXPECT_EQ(parse_string_list("['a', \"it's\", 'say \"x\"']"), (Texts{"a", "it's", "say \"x\""}));
  EXPECT_EQ(parse_string_list(R"(['a\'b', 'c\\d', 'e\nf', '\xe9\u732b\U0001f600', '\q'])"),
            (Texts{"a'b", "c\\d", "e\nf", "\u00e9\u732b\U0001f600", "\\q"}));
  EXPECT_EQ(parse_string_list("[ 'a' ,\n'b', ]"), (Texts{"a", "b"}));
  EXPECT_EQ(parse_string_list("[]"), Texts{});
  EXPECT_EQ(parse_string_list("['']"), Texts{""});
}

TEST(PythonList, OtherTextsAreNone) {
  for (const char* text : {"", "a", "['a'", "['a]", "['a' 'b']", "['a'] b", "[1, 2]", "[a]",
                           "['\\x4']", "['\\ud800']", "('a',)", "['a\\"}) {
    EXPECT_FALSE(parse_string_list(text)) << text;
  }
  EXPECT_TRUE(looks_like_string_list("[\"a"));
  EXPECT_FALSE(looks_like_string_list("[0.1, 0.2]"));
  EXPECT_FALSE(looks_like_string_list("["));
}

constexpr const char* kHeader = "index\timage_path\tquestion\tA\tB\tanswer\n";

TEST(ReadTable, ProblemsOfRows) {
  const Files files;
  const std::string text = std::string(kHeader) +
                           "1\ta.png\tq\tyes\tno\tC\n"
                           "2\ta.png\tq\t\t\t['x', 'y\n"
                           "3\t\tq\t\t\tx\n"
                           "3\ta.png\t\t\t\tx\n"
                           "\ta.png\tq\t\t\tx\n"
                           "6\ta.png\tq\tx\n"
                           "7\ta.png\tq\tyes\tno\t\n"
                           "8\tgone.png\tq\t\t\tx\n";
  DataOptions options = files.with("t.tsv", text);
  options.ids = RepeatedIds::kRefuse;
  EXPECT_ERROR(read_data(options),
               files.message("t.tsv",
                             "8 problems\n"
                             "  malformed lines: 1\n"
                             "    line 7: 4 fields, the header has 6\n"
                             "  malformed items: 2\n"
                             "    line 2 ('1'): the answer 'C' is none of the options A, B\n"
                             "    line 3 ('2'): the answer ['x', 'y is no list\n"
                             "  unusable ids: 1\n"
                             "    line 6: 'index' is empty\n"
                             "  repeated ids: 1\n"
                             "    line 5 ('3'): the id is used before\n"
                             "  empty texts: 2\n"
                             "    line 5 ('3'): the question is empty\n"
                             "    line 8 ('7'): the answer is empty\n"
                             "  missing images: 1\n"
                             "    line 9 ('8'): no image " +
                                 files.at("gone.png") + "; also looked in " + files.at("images")));
}

TEST(ReadTable, ProblemsOfTheHeader) {
  const Files files;
  const auto refused = [&](const std::string& header, const std::string& why) {
    DataOptions options = files.with("t.tsv", header + "\n");
    options.format = "vlmevalkit-tsv";
    EXPECT_ERROR(read_data(options), files.message("t.tsv", why));
  };
  refused("image\tanswer", "the header has no 'index'");
  refused("index\tanswer",
          "the header has neither 'image' nor 'image_path', and no 'question' to ask without");
  refused("index\timage", "the header has neither 'answer' nor 'gpt4_ans'");
  refused("index\timage\tanswer\timage", "the header has 'image' twice");
  refused("index\timage\tanswer", "the file holds no items");
}

TEST(ReadTable, NumbersInBracketsAreATextAndOptionsMayBeNamedByTheirText) {
  const Files files;
  const DataSet data =
      read_data(files.with("t.tsv", std::string(kHeader) + "1\ta.png\tWhere?\t\t\t[0.1, 0.2]\n"
                                                           "2\ta.png\tSure?\tyes\tno\tno\n"));
  EXPECT_EQ(data.samples[0].answer, "[0.1, 0.2]");
  EXPECT_EQ(data.samples[0].question, "Where?");
  EXPECT_EQ(data.samples[1].answer, "B. no");
}

}  // namespace
}  // namespace elastikv
