#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "datasets/dataset.h"
#include "image/image.h"
#include "parquet/open.h"
#include "support.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;

class Parquet : public testing::Test {
 protected:
  DataOptions options(const std::string& inside) const {
    DataOptions options;
    options.path = fixtures() / "parquet" / inside;
    options.image_cache = folder_.path() / "cache";
    return options;
  }
  DataSet read(const DataOptions& options) const {
    return read_data(options, [](const std::filesystem::path& file) { check_image(file); });
  }
  static std::string message(const std::string& inside, const std::string& problem) {
    return (fixtures() / "parquet" / inside).string() + ": " + problem;
  }
  static DataColumns question_and_answer() {
    DataColumns columns;
    columns.question = "question";
    columns.answer = "answer";
    return columns;
  }

  TemporaryFolder folder_;
};

TEST_F(Parquet, ColumnsWithTheirTypes) {
  const ParquetTable table = open_parquet(fixtures() / "parquet/scienceqa.parquet");
  EXPECT_EQ(table.rows, 3);
  Texts columns;
  for (const ParquetColumn& column : table.columns) {
    columns.push_back(column.name + ": " + column.type);
    EXPECT_EQ(column.holds_bytes, column.name == "image");
  }
  EXPECT_EQ(
      columns,
      (Texts{"image: struct<bytes: binary, path: string>", "question: large_string",
             "choices: large_list<element: large_string>", "answer: int8", "hint: string",
             "subject: dictionary<values=string, indices=int32, ordered=0>", "grade: int64"}));
  EXPECT_ERROR(table.read_bytes(0, "question"),
               message("scienceqa.parquet",
                       "cannot be read as Parquet: its column 'question' holds no bytes"));
}

TEST_F(Parquet, AFolderOfShardsIsReadAsItemsAreByTheUsualNames) {
  DataOptions chosen = options("textvqa/data");
  chosen.split = "validation";
  const DataSet data = read(chosen);
  EXPECT_EQ(data.format, "qa");
  EXPECT_EQ(data.name, "textvqa");
  ASSERT_EQ(ids(data), (Texts{"34602", "34603", "34604", "34605", "34606"}));
  EXPECT_EQ(data.samples[3].question, "what does sign 3 say?");
  EXPECT_EQ(data.samples[3].answer, "stop");
  EXPECT_EQ(data.samples[3].references, (Texts{"stop", "halt", "sign 3"}));
  EXPECT_EQ(data.samples[3].index, 3);
  EXPECT_EQ(read_image(data.samples[1].images.at(0)).pixels[0], 40);
  EXPECT_EQ(read_image(data.samples[4].images.at(0)).pixels[0], 160);
  EXPECT_TRUE(data.notes.empty());
}

TEST_F(Parquet, AFolderOfSeveralSplitsNeedsOne) {
  EXPECT_ERROR(read(options("textvqa")),
               message("textvqa",
                       "holds Parquet files of the splits train, validation; name one "
                       "with 'split'"));
  DataOptions wrong = options("textvqa/data");
  wrong.split = "valdation";
  EXPECT_ERROR(read(wrong), message("textvqa/data",
                                    "holds no Parquet files of the split 'valdation'; did you mean "
                                    "'validation'?"));
  wrong.path = fixtures() / "parquet/llava.parquet";
  EXPECT_ERROR(read(wrong), message("llava.parquet",
                                    "'split' chooses among the Parquet files of a folder, or rows "
                                    "by columns.split"));
}

TEST_F(Parquet, OtherFormatsOfItemsAreRecognisedToo) {
  const DataSet data = read(options("llava.parquet"));
  EXPECT_EQ(data.format, "llava");
  ASSERT_EQ(ids(data), Texts{"c1"});
  EXPECT_EQ(data.samples[0].question, "<image>\nWhat is it?");
  EXPECT_EQ(read_image(data.samples[0].images.at(0)).pixels[0], 160);
  DataOptions named = options("llava.parquet");
  named.format = "qa";
  EXPECT_ERROR(read(named), message("llava.parquet", R"(2 problems
  malformed items: 2
    row 0 ('c1'): 'question' is missing
    row 0 ('c1'): 'answer' is missing)"));
}

TEST_F(Parquet, ColumnsByName) {
  DataOptions chosen = options("textvqa/data");
  chosen.split = "validation";
  chosen.columns = question_and_answer();
  chosen.columns->answer = "answers";
  chosen.columns->id = "image_id";
  chosen.columns->images = {"image"};
  chosen.columns->categories = {"set_name"};
  chosen.columns->context = "flickr_original_url";
  const DataSet data = read(chosen);
  EXPECT_EQ(data.format, "columns");
  ASSERT_EQ(ids(data), (Texts{"0000", "0001", "0002", "0003", "0004"}));
  const Sample& sample = data.samples[2];
  EXPECT_EQ(sample.question, "https://example.org/2.png\nwhat does sign 2 say?");
  EXPECT_EQ(sample.answer, "stop");
  // Every person's answer stays.
  EXPECT_EQ(sample.votes, (Texts{"stop", "stop", "stop", "stop", "stop", "stop", "halt", "halt",
                                 "halt", "sign 2"}));
  EXPECT_EQ(sample.references, (Texts{"stop", "halt", "sign 2"}));
  EXPECT_EQ(sample.categories, Texts{"val"});
  EXPECT_EQ(read_image(sample.images.at(0)).pixels[0], 80);
}

TEST_F(Parquet, AColumnThatIsNotThere) {
  DataOptions chosen = options("vqav2.parquet");
  chosen.columns = question_and_answer();
  chosen.columns->answer = "answer";
  EXPECT_ERROR(read(chosen),
               message("vqav2.parquet",
                       "columns.answer is 'answer', no column of the file; did you mean 'answers'? "
                       "It has question_id, question, multiple_choice_answer, answers and image"));
  chosen.columns->answer = "label";
  EXPECT_ERROR(read(chosen),
               message("vqav2.parquet",
                       "columns.answer is 'label', no column of the file; it has question_id, "
                       "question, multiple_choice_answer, answers and image"));
}

TEST_F(Parquet, AnswersInsideStructs) {
  DataOptions chosen = options("vqav2.parquet");
  chosen.columns = question_and_answer();
  chosen.columns->answer = "answers";
  chosen.columns->images = {"image"};
  DataSet data = read(chosen);
  EXPECT_EQ(answers(data), (Texts{"no", "2"}));
  EXPECT_EQ(data.samples[0].votes, (Texts{"yes", "no", "no"}));
  EXPECT_EQ(data.samples[0].references, (Texts{"yes", "no"}));
  EXPECT_EQ(data.samples[0].images, data.samples[1].images);  // one picture, one file
  EXPECT_EQ(data.samples[0].cluster, data.samples[1].cluster);
  chosen.columns->answer = "answers.answer_id";
  chosen.columns->images = {"image.bytes"};
  data = read(chosen);
  EXPECT_EQ(data.samples[0].images.size(), 1U);
  EXPECT_EQ(data.samples[0].references, (Texts{"0", "1", "2"}));
}

TEST_F(Parquet, SeveralColumnsOfImagesAndOptionsThatPythonPrinted) {
  DataOptions chosen = options("mmmu.parquet");
  chosen.columns = question_and_answer();
  chosen.columns->id = "id";
  chosen.columns->options = {"options"};
  for (int n = 1; n <= 7; ++n) chosen.columns->images.push_back("image_" + std::to_string(n));
  const DataSet data = read(chosen);
  ASSERT_EQ(data.samples.size(), 3U);
  ASSERT_EQ(data.samples[0].images.size(), 2U);
  EXPECT_EQ(read_image(data.samples[0].images[1]).pixels[0], 80);
  EXPECT_EQ(data.samples[1].images.size(), 1U);
  EXPECT_EQ(data.samples[2].images.size(), 0U);
  EXPECT_EQ(data.samples[0].options, (Texts{"the first", "the second's copy"}));
  EXPECT_EQ(data.samples[0].question,
            "Which is older, <image 1> or <image 2>?\nA. the first\nB. the second's copy\nAnswer "
            "with the option's letter and its text.");
  EXPECT_EQ(answers(data), (Texts{"B. the second's copy", "C. a bridge", "24/7"}));
  EXPECT_EQ(data.samples[0].references, (Texts{"B. the second's copy", "B", "the second's copy"}));
  EXPECT_EQ(data.samples[2].references, (Texts{"24/7", "3.429"}));
}

TEST_F(Parquet, AnswersAsPlacesAmongTheOptions) {
  DataOptions chosen = options("scienceqa.parquet");
  chosen.columns = question_and_answer();
  chosen.columns->options = {"choices"};
  chosen.columns->images = {"image"};
  chosen.columns->context = "hint";
  chosen.columns->categories = {"subject", "grade"};
  const DataSet data = read(chosen);
  EXPECT_EQ(ids(data), (Texts{"0", "1", "2"}));
  EXPECT_EQ(answers(data), (Texts{"B. a dog", "A. water", "A. up"}));
  EXPECT_EQ(data.samples[0].question.substr(0, 39), "Look at its ears.\nWhich animal is it?\nA");
  EXPECT_EQ(data.samples[1].question.substr(0, 20), "Which is a liquid?\nA");
  EXPECT_EQ(data.samples[0].categories, (Texts{"biology", "2"}));
  EXPECT_EQ(data.samples[2].categories, Texts{"geography"});
  EXPECT_TRUE(data.samples[1].images.empty());
  EXPECT_EQ(read_image(data.samples[2].images.at(0)).pixels[0], 120);
  // As items: the place is no text, as in JSON.
  DataOptions items = options("scienceqa.parquet");
  items.limit = 1;
  EXPECT_ERROR_CONTAINS(read(items), "a place among its 'choices' and no text");
}

TEST_F(Parquet, RowsOfASplit) {
  DataOptions chosen = options("scienceqa.parquet");
  chosen.columns = question_and_answer();
  chosen.columns->split = "subject";
  chosen.split = "physics";
  EXPECT_EQ(ids(read(chosen)), Texts{"1"});
  chosen.split = "physic";
  EXPECT_ERROR(read(chosen), message("scienceqa.parquet",
                                     "no row's 'subject' is 'physic'; did you mean 'physics'?"));
}

TEST_F(Parquet, ListsOfImagesAndNumbersAsAnswers) {
  const DataSet data = read(options("several.parquet"));
  ASSERT_EQ(ids(data), (Texts{"both", "gap", "none"}));
  ASSERT_EQ(data.samples[0].images.size(), 2U);
  ASSERT_EQ(data.samples[1].images.size(), 1U);  // what is null is left out
  EXPECT_EQ(read_image(data.samples[1].images[0]).pixels[0], 120);
  EXPECT_TRUE(data.samples[2].images.empty());
  EXPECT_EQ(answers(data), (Texts{"1.5", "3.0", "0.1"}));
}

TEST_F(Parquet, BytesAlone) {
  DataOptions chosen = options("detailcaps.parquet");
  chosen.columns.emplace();
  chosen.columns->images = {"binary"};
  chosen.columns->answer = "GT_Caption_GPT4O";
  chosen.on_problem = OnProblem::kRecord;
  chosen.prompt = "Describe this image in detail.";
  const DataSet data = read(chosen);
  EXPECT_EQ(data.samples[0].question, "Describe this image in detail.");
  EXPECT_EQ(data.samples[0].answer, "A grey square.");
  EXPECT_EQ(read_image(data.samples[0].images.at(0)).pixels[0], 9);
  EXPECT_EQ(data.samples[1].problem, "the row has no image");
}

TEST_F(Parquet, ContentIsThatOfTheSameSampleInJson) {
  const Files files;
  DataOptions chosen = options("detailcaps.parquet");
  chosen.columns.emplace();
  chosen.columns->question = "source";
  chosen.columns->images = {"binary"};
  chosen.columns->answer = "image";
  chosen.limit = 1;
  const DataSet parquet = read(chosen);
  files.folder.write("a.png", read_file(parquet.samples[0].images.at(0).path));
  const DataSet json = read_data(
      files.with("x.json", R"([{"image": "a.png", "question": "coco", "answer": "coco/1.png"}])"));
  EXPECT_EQ(parquet.samples[0].content, json.samples[0].content);
}

TEST_F(Parquet, ImagesThatCannotBeReadAreNamedByRow) {
  const DataOptions broken = options("hostile/broken-images.parquet");
  try {
    read(broken);
    FAIL() << "accepted";
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.substr(0, text.find('\n')),
              message("hostile/broken-images.parquet", "5 problems"));
    for (const char* part :
         {"row 1 ('empty'): the image is of 0 bytes", "row 2 ('gif'): ", "row 3 ('cut'): ",
          "row 4 ('nothing'): the image is null and names no "
          "file",
          "row 5 ('named'): no image "}) {
      EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
    }
  }
  DataOptions recorded = broken;
  recorded.on_problem = OnProblem::kRecord;
  const DataSet data = read(recorded);
  ASSERT_EQ(data.samples.size(), 6U);
  EXPECT_EQ(data.samples[0].problem, "");
  for (size_t i = 1; i < 6; ++i) EXPECT_NE(data.samples[i].problem, "") << i;
}

TEST_F(Parquet, AShardIsNamedWhereThereAreSeveral) {
  const std::filesystem::path shard = fixtures() / "parquet/hostile/broken-images.parquet";
  for (const char* name : {"test-00000-of-00002.parquet", "test-00001-of-00002.parquet"})
    folder_.write(name, read_file(shard));
  DataOptions chosen = options("");
  chosen.path = folder_.path();
  chosen.on_problem = OnProblem::kRefuse;
  EXPECT_ERROR_CONTAINS(read(chosen),
                        "row 1 of test-00001-of-00002.parquet ('empty'): the image is "
                        "of 0 bytes");
}

TEST_F(Parquet, HostileFilesAreRefusedInOneLine) {
  const auto refused = [&](const std::string& inside, const std::string& problem) {
    EXPECT_ERROR(read(options("hostile/" + inside)), message("hostile/" + inside, problem));
  };
  refused("zero-rows.parquet", "the file holds no rows");
  refused("one-name-twice.parquet", "cannot be read as Parquet: it has two columns of one name");
  refused("not-utf8.parquet", "cannot be read as Parquet: row 0: 'question': a text is not UTF-8");
  refused(
      "page-of-2-gb.parquet",
      "cannot be read as Parquet: a part of it needs more memory than a file of its size explains "
      "(at most 128 MiB)");
  refused(
      "page-of-10-gb.parquet",
      "cannot be read as Parquet: a part of it needs more memory than a file of its size explains "
      "(at most 128 MiB)");
  refused("many-nulls.parquet",
          "cannot be read as Parquet: it claims more rows than a file of its size holds");
  refused("repeated-text.parquet",
          "cannot be read as Parquet: its values take more memory than a file of its size "
          "explains");
  EXPECT_ERROR_CONTAINS(read(options("hostile/nested-nulls.parquet")), "row 0 ('0')");
}

TEST_F(Parquet, WhatIsNoParquet) {
  const Files files;
  EXPECT_ERROR(read_data(files.with("a.parquet", "question,answer\nWhat?,This.\n")),
               files.message("a.parquet",
                             "cannot be read as Parquet: Parquet magic bytes not found in footer. "
                             "Either the file is corrupted or this is not a parquet file."));
  EXPECT_ERROR(read_data(files.with("a.bin", "PAR1\x15\x04")),
               files.message("a.bin",
                             "cannot be read as Parquet: Parquet file size is 6 bytes, smaller "
                             "than the minimum file footer (8 bytes)"));
  EXPECT_ERROR(read_data(files.with("b.parquet", "")),
               files.message("b.parquet", "the file is empty"));
  EXPECT_ERROR(read(options("gone.parquet")),
               message("gone.parquet", "cannot open: No such file or directory"));
  DataOptions questions = files.with("q.jsonl", R"({"question_id": 1, "text": "What?"})");
  questions.answers = fixtures() / "parquet/llava.parquet";
  EXPECT_ERROR(read_data(questions),
               message("llava.parquet", "not UTF-8 text but Parquet; export it as JSON lines"));
}

TEST_F(Parquet, WithoutArrowAFileIsRefusedWithHowToGetIt) {
  const std::filesystem::path file = fixtures() / "parquet/llava.parquet";
  const Files files;
  EXPECT_ERROR(open_parquet(file, files.folder.path() / "none.so"),
               message("llava.parquet",
                       "Parquet is read through Apache Arrow, which this program is without; build "
                       "elastikv where scripts/setup.sh has run, or export the file as JSON "
                       "lines"));
  EXPECT_ERROR_CONTAINS(open_parquet(file, files.folder.write("broken.so", "no library")),
                        "Parquet is read through Apache Arrow, which cannot be loaded (");
}

}  // namespace
}  // namespace elastikv
