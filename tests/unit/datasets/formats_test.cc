#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/files.h"
#include "image/image.h"
#include "support.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;
using Texts = std::vector<std::string>;

/// Every fixture is read with its images checked as a sweep checks them.
class Fixtures : public testing::Test {
 protected:
  DataOptions options(const std::string& name) const {
    DataOptions data;
    data.path = fixtures() / name;
    data.image_cache = cache_.path();
    return data;
  }
  static DataSet read(const DataOptions& data) {
    return read_data(data, [](const fs::path& file) { check_image(file); });
  }
  DataSet read(const std::string& name) const { return read(options(name)); }

  /// Reads the file as what it is recognised as and by the format's name: the same either way.
  DataSet read_as(const std::string& format, DataOptions data) const {
    const DataSet recognised = read(data);
    EXPECT_EQ(recognised.format, format);
    data.format = format;
    const DataSet named = read(data);
    EXPECT_EQ(named.format, format);
    EXPECT_EQ(named.content, recognised.content);
    for (const Sample& sample : named.samples) {
      EXPECT_EQ(sample.problem, "");
      EXPECT_EQ(sample.source.parent_path().string().find(fixtures().string()), 0U);
    }
    return named;
  }

  TemporaryFolder cache_;
};

TEST_F(Fixtures, LlavaDescription) {
  const DataSet data = read_as("llava", options("llava/detail_1k.json"));
  EXPECT_EQ(data.name, "detail_1k");
  ASSERT_EQ(ids(data), (Texts{"000000442786", "000000114742"}));
  EXPECT_EQ(data.samples[0].question, "<image>\nWhat is going on in this scene?");
  EXPECT_EQ(data.samples[1].question, "Tell me about the picture at length.\n<image>");
  EXPECT_EQ(data.samples[1].answer,
            "A green bus waits at a stop. Its doors are open and a child is getting in.");
  EXPECT_EQ(data.samples[1].images,
            std::vector<ImageFile>{fixtures() / "llava/coco/train2017/000000114742.jpg"});
  EXPECT_TRUE(data.samples[1].references.empty());
  EXPECT_TRUE(data.samples[1].categories.empty());
  DataOptions all = options("llava/detail_1k.json");
  all.turn = "all";
  EXPECT_EQ(ids(read(all)), (Texts{"000000442786#1", "000000114742#1", "000000114742#2"}));
}

TEST_F(Fixtures, RepackedMmVet) {
  DataOptions data = options("qa/mm-vet.json");
  data.image_place = "after";
  const DataSet set = read_as("qa", data);
  ASSERT_EQ(ids(set), (Texts{"0", "1", "2"}));
  EXPECT_EQ(set.samples[0].question, "Which number stands for x?\n<image>");
  EXPECT_EQ(set.samples[0].answer, "-1<AND>-5");
  EXPECT_EQ(set.samples[0].references, Texts{"-1 and -5"});
  EXPECT_EQ(set.samples[1].answer, "3");
  EXPECT_TRUE(set.samples[1].references.empty());
  EXPECT_EQ(set.samples[2].references, (Texts{"ice", "black ice"}));
  EXPECT_EQ(set.samples[2].images, std::vector<ImageFile>{fixtures() / "qa/images/v1_2.png"});
  // As the released scripts name it.
  data.image_root = fixtures() / "qa/images";
  EXPECT_EQ(read(data).samples[2].images.at(0).path, fixtures() / "qa/images/v1_2.png");
}

TEST_F(Fixtures, InstructionsAndOutputs) {
  const DataSet data = read_as("qa", options("qa/coco2014_val_gpt4_qa_30x3.jsonl"));
  ASSERT_EQ(ids(data), (Texts{"000000441147", "000000441147#2"}));
  EXPECT_EQ(data.samples[1].question, "Describe the suitcase.");
  EXPECT_EQ(data.samples[1].answer, "Two old suitcases stand on top of each other.");
  EXPECT_EQ(data.samples[1].categories, Texts{"detail"});
  // In the folder images/ beside the file, which the name does not say.
  EXPECT_EQ(data.samples[1].images.at(0).path, fixtures() / "qa/images/v1_0.png");
}

TEST_F(Fixtures, ParquetExportedWithItsImages) {
  const DataSet data = read_as("qa", options("qa/captions_export.jsonl"));
  ASSERT_EQ(ids(data), (Texts{"391895", "60623"}));
  EXPECT_EQ(data.samples[0].answer, "A man rides a motorbike.");
  EXPECT_EQ(data.samples[0].references,
            (Texts{"A man rides a motorbike.", "Someone on a dirt road with a bike."}));
  EXPECT_TRUE(data.samples[1].references.empty());
  EXPECT_EQ(read_file(data.samples[0].images.at(0).path),
            read_file(fixtures() / "qa/images/v1_2.png"));
  EXPECT_EQ(check_image(data.samples[1].images.at(0)), (ImageSize{8, 12}));
}

TEST_F(Fixtures, OfficialMmVet) {
  const DataSet data = read_as("mm-vet", options("mm-vet/mm-vet.json"));
  EXPECT_EQ(data.name, "mm-vet");
  // In the file's order, which is not that of the names.
  ASSERT_EQ(ids(data), (Texts{"v1_0", "v1_1", "v1_10", "v1_2"}));
  EXPECT_EQ(data.samples[0].question, "Which number stands for x?");
  EXPECT_EQ(data.samples[0].answer, "-1<AND>-5");
  EXPECT_EQ(data.samples[0].references, Texts{"-1 and -5"});
  EXPECT_EQ(data.samples[0].categories, (Texts{"ocr", "math"}));
  EXPECT_EQ(data.samples[1].answer, "left<OR>the left one <AND> not the right");
  EXPECT_EQ(data.samples[1].references, (Texts{"left", "the left one and not the right"}));
  EXPECT_EQ(data.samples[2].answer, "3");
  EXPECT_EQ(data.samples[2].index, 2);
  EXPECT_EQ(data.samples[2].images.at(0).path, fixtures() / "mm-vet/images/v1_10.png");
  EXPECT_TRUE(data.samples[3].references.empty());
}

TEST_F(Fixtures, LlavaQuestionsWithTheirAnswers) {
  DataOptions questions = options("llava-questions/llava-mm-vet.jsonl");
  EXPECT_ERROR(read(questions),
               questions.path.string() +
                   ": questions without answers (llava-questions): perplexity needs 'answers', a "
                   "file of JSON lines with question_id and text such as LLaVA's "
                   "answers_gpt4.jsonl");
  questions.answers = fixtures() / "llava-questions/answers.jsonl";
  const DataSet data = read_as("llava-questions", questions);
  ASSERT_EQ(ids(data), (Texts{"0", "1"}));
  EXPECT_EQ(data.samples[0].question, "Which number stands for x?");
  EXPECT_EQ(data.samples[0].answer, "x is -1 or -5.");
  EXPECT_EQ(data.samples[1].answer, "The left one.");
  EXPECT_EQ(data.samples[1].categories, Texts{"conv"});
  EXPECT_EQ(data.samples[1].images.at(0).path, fixtures() / "llava-questions/images/v1_1.png");
}

TEST_F(Fixtures, QuestionsAloneWhereNoAnswerIsNeeded) {
  DataOptions questions = options("llava-questions/llava-mm-vet.jsonl");
  questions.needs_answers = false;
  const DataSet data = read(questions);
  ASSERT_EQ(ids(data), (Texts{"0", "1"}));
  EXPECT_EQ(data.samples[0].answer, "");
  EXPECT_EQ(data.samples[0].problem, "");
}

TEST_F(Fixtures, LlavaBenchByItsFolder) {
  const DataSet file =
      read_as("llava-bench", options("llava-bench/llava-bench-in-the-wild/questions.jsonl"));
  EXPECT_EQ(file.name, "llava-bench-in-the-wild-questions");
  const DataSet data = read_as("llava-bench", options("llava-bench/llava-bench-in-the-wild"));
  EXPECT_EQ(data.name, "llava-bench-in-the-wild");
  EXPECT_EQ(data.content, file.content);
  ASSERT_EQ(ids(data), (Texts{"0", "1", "2"}));
  EXPECT_EQ(data.samples[2].question, "Why might the market be empty?");
  EXPECT_EQ(data.samples[2].answer, "Perhaps it is a holiday, or too early in the day.");
  EXPECT_EQ(data.samples[2].categories, Texts{"complex"});
  EXPECT_EQ(data.samples[2].images.at(0).path.filename(), "002.jpg");
  EXPECT_EQ(data.samples[2].source.filename(), "questions.jsonl");
  // What the judge is told of the images is a set of captions.
  const DataSet context =
      read_as("coco-captions", options("llava-bench/llava-bench-in-the-wild/context.jsonl"));
  ASSERT_EQ(ids(context), (Texts{"001", "002"}));
  EXPECT_EQ(context.samples[1].references,
            (Texts{"Stalls without goods.", "An empty market in the rain."}));
  EXPECT_ERROR(read("llava-bench"),
               options("llava-bench").path.string() + ": is a folder; name the data file in it");
}

TEST_F(Fixtures, MultipleChoiceTable) {
  const DataSet data = read_as("vlmevalkit-tsv", options("vlmevalkit-tsv/MMBench_DEV_EN.tsv"));
  ASSERT_EQ(ids(data), (Texts{"241", "252", "1000241"}));
  EXPECT_EQ(data.samples[0].question,
            "The picture was taken at a bus stop.\nWhich vehicle is shown?\nA. a tram\nB. a bus\n"
            "C. a bicycle\nD. a boat\nAnswer with the option's letter and its text.");
  EXPECT_EQ(data.samples[0].answer, "B. a bus");
  EXPECT_EQ(data.samples[0].references, (Texts{"B. a bus", "B", "a bus"}));
  EXPECT_EQ(data.samples[0].options, (Texts{"a tram", "a bus", "a bicycle", "a boat"}));
  EXPECT_EQ(data.samples[0].categories, (Texts{"object_recognition", "coarse_perception"}));
  EXPECT_EQ(data.samples[1].question,
            "Is it \"raining\"?\nLook at the street.\nA. yes\nB. no\nAnswer with the option's "
            "letter and its text.");
  EXPECT_EQ(data.samples[1].answer, "A. yes");
  EXPECT_EQ(data.samples[1].categories, Texts{"weather"});
  // The image of row 241, and the two of a list.
  EXPECT_EQ(data.samples[1].images, data.samples[0].images);
  ASSERT_EQ(data.samples[2].images.size(), 2U);
  EXPECT_EQ(data.samples[2].answer, "C. all");
  EXPECT_EQ(read_file(data.samples[2].images[1].path),
            read_file(fixtures() / "qa/images/v1_2.png"));
}

TEST_F(Fixtures, CaptionTable) {
  const DataSet data = read_as("vlmevalkit-tsv", options("vlmevalkit-tsv/COCO_VAL.tsv"));
  ASSERT_EQ(ids(data), (Texts{"0", "1"}));
  EXPECT_EQ(data.samples[0].question, "Provide a one-sentence caption for the provided image.");
  EXPECT_EQ(data.samples[0].answer, "A man rides a motorbike.");
  EXPECT_EQ(data.samples[0].references,
            (Texts{"A man rides a motorbike.", "A rider's bike on a dirt road.",
                   "D\u00e9j\u00e0 vu on two wheels."}));
  EXPECT_EQ(data.samples[1].answer, "A girl eats a dessert.");
  EXPECT_TRUE(data.samples[1].references.empty());
}

TEST_F(Fixtures, TableOfNamedImagesWithLineEndsOfWindows) {
  const DataSet data = read_as("vlmevalkit-tsv", options("vlmevalkit-tsv/LLaVABench.tsv"));
  ASSERT_EQ(ids(data), (Texts{"0", "1"}));
  EXPECT_EQ(data.samples[0].answer, "It is called Mount Fuji.");
  EXPECT_EQ(data.samples[1].answer, "A cone of grey rock.\tIt rises out of the clouds.");
  EXPECT_EQ(data.samples[1].categories, Texts{"detail"});
  EXPECT_EQ(data.samples[1].images.at(0).path, fixtures() / "vlmevalkit-tsv/images/001.png");
}

TEST_F(Fixtures, CocoCaptions) {
  DataOptions coco = options("coco-captions/annotations/captions_val2014.json");
  coco.image_root = fixtures() / "coco-captions/val2014";
  const DataSet data = read_as("coco-captions", coco);
  ASSERT_EQ(ids(data), (Texts{"391895", "60623"}));
  EXPECT_EQ(data.samples[0].question, "Provide a one-sentence caption for the provided image.");
  EXPECT_EQ(data.samples[0].answer, "A man rides a motorbike.");
  EXPECT_EQ(data.samples[0].references,
            (Texts{"A man rides a motorbike.", "Someone on a dirt road with a bike.",
                   "A red bike in the country."}));
  EXPECT_EQ(data.samples[0].images.at(0).path, coco.image_root / "COCO_val2014_000000391895.jpg");
  coco.prompt = "Describe this image in detail.";
  const DataSet detailed = read(coco);
  EXPECT_EQ(detailed.samples[0].question, "Describe this image in detail.");
  EXPECT_NE(detailed.samples[0].content, data.samples[0].content);
}

TEST_F(Fixtures, CocoResults) {
  DataOptions coco = options("coco-captions/annotations/captions_results.json");
  coco.image_root = fixtures() / "coco-captions/val2014";
  const DataSet data = read_as("coco-captions", coco);
  ASSERT_EQ(ids(data), (Texts{"391895", "60623"}));
  EXPECT_EQ(data.samples[0].references,
            (Texts{"A man rides a motorbike.", "Someone on a dirt road with a bike."}));
  EXPECT_EQ(data.samples[1].images.at(0).path, coco.image_root / "COCO_val2014_000000060623.jpg");
}

TEST_F(Fixtures, PlainText) {
  DataOptions story = options("text/story.txt");
  story.context_words = 8;
  story.answer_words = 3;
  const DataSet data = read_as("text", story);
  ASSERT_EQ(ids(data), Texts{"window-0"});
  EXPECT_EQ(data.samples[0].question, "The bus was late.\nNobody minded, for the");
  EXPECT_EQ(data.samples[0].answer, " rain had stopped");
}

// What a file is when several formats come into question.

std::string format_of(const std::string& name, std::string_view text) {
  const Files files;
  return read_data(files.with(name, text)).format;
}

TEST(Recognition, PairsWinOverQuestionsWhoseKeysTheyHaveToo) {
  EXPECT_EQ(
      format_of("a.jsonl", R"({"question_id": 1, "image": "a.png", "question": "q", "text": "t", )"
                           R"("answer": "a", "category": "conv"})"),
      "qa");
  // The captions of a row that is asked something are beside the point.
  EXPECT_EQ(
      format_of("a.jsonl", R"({"image": "a.png", "question": "q", "answer": "a", "caption": "c"})"),
      "qa");
}

TEST(Recognition, GoesByMostItemsAndNotByTheFirst) {
  const Files files;
  EXPECT_ERROR(read_data(files.with("a.json",
                                    R"([{"id": "x", "question": "q"},
                                        {"id": "y", "question": "q", "answer": "a"}])")),
               files.message("a.json", "item 0 ('x'): 'answer' is missing"));
  EXPECT_ERROR(read_data(files.with("a.json",
                                    R"([{"id": "x", "conversations": []},
                                        {"id": "y", "question": "q", "answer": "a"},
                                        {"id": "z", "question": "q", "answer": "a"}])")),
               files.message("a.json",
                             "2 problems\n"
                             "  malformed items: 2\n"
                             "    item 0 ('x'): 'question' is missing\n"
                             "    item 0 ('x'): 'answer' is missing"));
}

TEST(Recognition, ObjectsOnOneLineOrOnSeveral) {
  const std::string entry = R"("v1_0": {"imagename": "a.png", "question": "q", "answer": "a"})";
  EXPECT_EQ(format_of("a.json", "{" + entry + "}"), "mm-vet");
  EXPECT_EQ(format_of("a.json", "{" + entry + "}\n"), "mm-vet");
  EXPECT_EQ(format_of("a.json", "\n{\n" + entry + "\n}"), "mm-vet");
  const std::string coco =
      R"({"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"image_id": 1, "caption": "c"}]})";
  EXPECT_EQ(format_of("a.json", coco), "coco-captions");
  EXPECT_EQ(format_of("a.json", coco + "\n"), "coco-captions");
  EXPECT_EQ(format_of("a.json", "{" + entry + ", " + coco.substr(1)), "coco-captions")
      << "an entry with an image makes no MM-Vet of COCO's object";
  EXPECT_EQ(format_of("a.jsonl", R"({"question": "q", "answer": "a"})"), "qa");
  EXPECT_EQ(format_of("a.jsonl", "{\n\"question\": \"q\",\n\"answer\": \"a\"\n}\n"), "qa");
}

TEST(Recognition, LinesMayBeBlankEndWithCrlfOrLackTheLastEnd) {
  const std::string one = R"({"id": "a", "question": "q", "answer": "x"})";
  const std::string two = R"({"id": "b", "question": "q", "answer": "x"})";
  const Files files;
  for (const std::string& text : {one + "\n" + two, one + "\n\n" + two + "\n\n",
                                  one + "\r\n" + two + "\r\n", "\n" + one + "\n \t\n" + two}) {
    const DataSet data = read_data(files.with("a.jsonl", text));
    EXPECT_EQ(data.format, "qa");
    EXPECT_EQ(ids(data), (Texts{"a", "b"})) << text;
  }
}

TEST(Recognition, TablesByTheirHeader) {
  EXPECT_EQ(format_of("a.tsv", "index\timage_path\tquestion\tanswer\r\n1\ta.png\tq\ta\r\n"),
            "vlmevalkit-tsv");
  // Whatever it is called, and with its columns in any order and quoted.
  EXPECT_EQ(format_of("a.csv", "\"answer\"\t\"index\"\t\"image_path\"\na\t1\ta.png"),
            "vlmevalkit-tsv");
  EXPECT_ERROR_CONTAINS(format_of("a.tsv", "id\timage\n1\ta.png\n"),
                        "text (a .txt file); the file is neither JSON nor JSON lines");
}

TEST(Recognition, NamedFormatsAreTakenAtTheirWord) {
  const Files files;
  DataOptions options = files.with("a.json", R"([{"id": "x", "question": "q", "answer": "a"}])");
  options.format = "mm-vet";
  EXPECT_ERROR(read_data(options),
               files.message("a.json", "mm-vet is one JSON object, this file holds items"));
  options.format = "llava";
  EXPECT_ERROR(read_data(options),
               files.message("a.json", "item 0 ('x'): 'conversations' is missing"));
  options.format = "vlmevalkit-tsv";
  EXPECT_ERROR(read_data(options), files.message("a.json", "the header has no 'index'"));
  options = files.with("a.json", R"({"v1_0": {"imagename": "a.png", "question": "q"}})");
  options.format = "qa";
  EXPECT_ERROR(read_data(options),
               files.message("a.json", "is mm-vet by its content, not qa; leave 'format' out"));
  options = files.with("a.txt", R"([{"id": "x", "question": "q", "answer": "a"}])");
  options.format = "qa";
  EXPECT_EQ(read_data(options).format, "qa");
}

TEST(Recognition, FormatsAreListedInOrder) {
  EXPECT_EQ(data_formats(), (Texts{"auto", "llava", "mm-niah", "contexts", "turns", "qa", "mm-vet",
                                   "llava-questions", "llava-bench", "milebench", "coco-captions",
                                   "vlmevalkit-tsv", "text"}));
}

TEST(Recognition, OnlyATextGoesOnBehindItsSamples) {
  const Files files;
  DataOptions text = files.with("a.txt", "one two three four");
  text.context_words = 1;
  text.answer_words = 1;
  EXPECT_TRUE(read_data(text).in_windows);
  EXPECT_FALSE(read_data(files.with("a.json", R"([{"id": "x", "question": "q", "answer": "a"}])"))
                   .in_windows);
}

TEST(Recognition, OptionsThatAFormatDoesNotReadAreRefused) {
  const Files files;
  DataOptions options = files.with("a.json", R"([{"id": "x", "question": "q", "answer": "a"}])");
  options.answers = "answers.jsonl";
  EXPECT_ERROR(read_data(options),
               files.message("a.json",
                             "'answers' is for llava-questions and llava-bench, the file is qa, "
                             "which has its own"));
  options.answers.clear();
  options.prompt = "Describe.";
  EXPECT_ERROR(read_data(options), files.message("a.json",
                                                 "'prompt' is for captions, the file is qa, which "
                                                 "asks its own questions"));
  options.prompt.clear();
  options.tokens = TokenWindows{.prompt_tokens = 1, .answer_tokens = 1, .stride = {}};
  EXPECT_ERROR(read_data(options),
               files.message("a.json",
                             "prompt_tokens and answer_tokens cut plain text: a .txt file, or "
                             "'format: text'"));
  options = files.with("a.tsv", "index\timage_path\tquestion\tanswer\n1\ta.png\tq\ta\n");
  options.prompt = "Describe.";
  EXPECT_ERROR(
      read_data(options),
      files.message("a.tsv", "'prompt' is for data without questions, this table has some"));
}

}  // namespace
}  // namespace elastikv
