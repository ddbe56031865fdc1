#include <memory>

#include <gtest/gtest.h>

#include "base/error.h"
#include "datasets/dataset.h"
#include "support.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

constexpr const char* kConversations = R"([
 {"id": "a", "image": "images/a.png", "conversations": [
   {"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": "A cat."},
   {"from": "human", "value": "Where?"}, {"from": "gpt", "value": "Left."}]},
 {"id": "b", "image": "images/b.png", "conversations": [
   {"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": "A dog."}],
  "scene": {"background": "gray"}}
])";

TEST(ReadLlava, FirstPairByDefault) {
  const Files files;
  const DataSet data = read_data(files.with("scenes.json", kConversations));
  EXPECT_EQ(data.format, "llava");
  EXPECT_EQ(data.name, "scenes");
  ASSERT_EQ(ids(data), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(data.samples[0].question, "<image>\nDescribe.");
  EXPECT_EQ(data.samples[0].answer, "A cat.");
  EXPECT_EQ(data.samples[0].images.at(0).path, files.folder.path() / "images/a.png");
  EXPECT_EQ(data.samples[1].index, 1);
}

TEST(ReadLlava, TurnsAreSamplesOfTheirOwn) {
  const Files files;
  DataOptions options = files.with("scenes.json", kConversations);
  options.turn = "all";
  const DataSet data = read_data(options);
  ASSERT_EQ(ids(data), (std::vector<std::string>{"a#1", "a#2", "b#1"}));
  EXPECT_EQ(data.samples[1].question, "Where?");
  EXPECT_EQ(data.samples[1].images.at(0).path, files.folder.path() / "images/a.png");
  options.turn = "2";
  EXPECT_ERROR(read_data(options), files.message("scenes.json",
                                                 "item 1 ('b'): turn 2 is asked for, the "
                                                 "conversation has 1"));
  options.turn = "last";
  EXPECT_ERROR(read_data(options),
               files.message("scenes.json",
                             "turn is 'last', needs first, all, conversation or a number "
                             "from 1"));
}

TEST(ReadLlava, ConversationsMustAlternate) {
  const Files files;
  EXPECT_ERROR(
      read_data(files.with("a.json", R"([{"id": "x", "conversations": [
        {"from": "gpt", "value": "q"}, {"from": "human", "value": "a"}]},
        {"id": "y", "conversations": []},
        {"id": "z", "conversations": [{"from": "human", "value": 3}, {"from": "gpt"}]}])")),
      files.message("a.json",
                    "3 problems\n"
                    "  malformed items: 3\n"
                    "    item 0 ('x'): conversations[0] is from 'gpt', not 'human'\n"
                    "    item 1 ('y'): 'conversations' needs pairs of a human's and a gpt's turn\n"
                    "    item 2 ('z'): conversations[0]: 'value' is of type number, a string is "
                    "needed"));
}

TEST(ReadQa, JsonAndLinesWithTheirAliases) {
  const Files files;
  const DataSet array = read_data(
      files.with("qa.json", R"([{"imagename": "images/a.png", "question": "q", "answer": "x"}])"));
  EXPECT_EQ(array.format, "qa");
  EXPECT_EQ(array.samples[0].id, "0");
  DataOptions lines = files.with("qa.jsonl",
                                 "{\"question_id\": 7, \"image\": \"images/a.png\", "
                                 "\"question\": \"q\", \"answer\": \"x\"}\n\n"
                                 "{\"id\": \"t\", \"question\": \"q\", \"answer\": \"y\"}\n");
  // The name repeats the root's last folder: found by its last component.
  lines.image_root = files.folder.path() / "images";
  const DataSet data = read_data(lines);
  ASSERT_EQ(ids(data), (std::vector<std::string>{"7", "t"}));
  EXPECT_EQ(data.samples[0].images.at(0).path, files.folder.path() / "images/a.png");
  EXPECT_TRUE(data.samples[1].images.empty());
}

TEST(ReadQa, ImageBesideTheRootIsFoundByItsLastComponent) {
  const Files files;
  files.folder.write("a.png", "x");
  const DataSet data = read_data(
      files.with("qa.json", R"([{"image": "gone/a.png", "question": "q", "answer": "x"}])"));
  EXPECT_EQ(data.samples[0].images.at(0).path, files.folder.path() / "a.png");
}

TEST(ReadData, ProblemsAreGatheredWithTheirPlace) {
  const Files files;
  const std::string lines =
      "{\"id\": \"a\", \"question\": \"q\", \"answer\": \" \"}\n"
      "{\"id\": \"a\", \"question\": \"q\", \"answer\": \"x\"}\n"
      "{\"id\": 1.5, \"question\": \"q\", \"answer\": \"x\"}\n"
      "{\"id\": \"d\", \"question\": 3, \"answer\": \"x\"}\n"
      "{\"id\": \"e\", \"question\": \"<image>q\", \"answer\": \"x\"}\n"
      "{\"id\": \"f\", \"question\": \"q\"}\n"
      "[1]\n";
  DataOptions options = files.with("p.jsonl", lines);
  options.ids = RepeatedIds::kRefuse;
  EXPECT_ERROR(read_data(options),
               files.message("p.jsonl",
                             "7 problems\n"
                             "  malformed items: 3\n"
                             "    line 7: is of type array, an object is needed\n"
                             "    line 4 ('d'): 'question' is of type number, a string is needed\n"
                             "    line 6 ('f'): 'answer' is missing\n"
                             "  unusable ids: 1\n"
                             "    line 3: 'id' is 1.5, a string or an integer is needed\n"
                             "  repeated ids: 1\n"
                             "    line 2 ('a'): the id is used before\n"
                             "  empty texts: 1\n"
                             "    line 1 ('a'): the answer is empty\n"
                             "  places of images that do not fit the images: 1\n"
                             "    line 5 ('e'): the question has <image>, but the item names no "
                             "image"));
}

TEST(ReadData, DuplicateIdAndEmptyAnswerAreFoundBeyondTheLimit) {
  const Files files;
  DataOptions options = files.with("d.jsonl",
                                   "{\"id\": \"a\", \"question\": \"q\", \"answer\": \"x\"}\n"
                                   "{\"id\": \"a\", \"question\": \"q\", \"answer\": \"x\"}\n");
  options.limit = 1;
  options.ids = RepeatedIds::kRefuse;
  EXPECT_ERROR(read_data(options), files.message("d.jsonl", "line 2 ('a'): the id is used before"));
}

TEST(ReadData, ImagesOfTheSelectedSamplesAreChecked) {
  const Files files;
  files.folder.write("images/empty.png", "");
  DataOptions options = files.with("p.json", R"([
    {"id": "a", "image": "images/a.png", "question": "q", "answer": "x"},
    {"id": "b", "image": "images/none.png", "question": "q", "answer": "x"},
    {"id": "c", "image": "images/empty.png", "question": "q", "answer": "x"},
    {"id": "d", "image": "images/b.png", "question": "q", "answer": "x"}])");
  const std::string images = (files.folder.path() / "images").string();
  const auto reject_b = [](const std::filesystem::path& file) {
    if (file.filename() == "b.png") fail("{}: not an image", file.string());
  };
  EXPECT_ERROR(
      read_data(options, reject_b),
      files.message("p.json", "3 problems\n  missing images: 1\n    item 1 ('b'): no image " +
                                  images + "/none.png; also looked in " +
                                  files.folder.path().string() + ", " + images +
                                  "/images\n  unreadable images: 2\n    item 2 ('c'): " + images +
                                  "/empty.png: the file is empty\n    item 3 ('d'): " + images +
                                  "/b.png: not an image"));
  options.limit = 1;
  EXPECT_EQ(read_data(options, reject_b).samples.size(), 1U);
}

TEST(ReadData, SelectionByIdOffsetAndLimit) {
  const Files files;
  std::string lines;
  for (int i = 0; i < 10; ++i) {
    lines += "{\"id\": \"s" + std::to_string(i) + "\", \"question\": \"q\", \"answer\": \"x\"}\n";
  }
  DataOptions options = files.with("s.jsonl", lines);
  options.offset = 3;
  options.limit = 2;
  EXPECT_EQ(ids(read_data(options)), (std::vector<std::string>{"s3", "s4"}));
  options = files.with("s.jsonl", lines);
  options.sample_ids = {"s7", "s2"};
  EXPECT_EQ(ids(read_data(options)), (std::vector<std::string>{"s2", "s7"}));
  options.sample_ids = {"S7x"};
  EXPECT_ERROR(read_data(options), files.message("s.jsonl", "no sample 'S7x'; did you mean 's7'?"));
  options = files.with("s.jsonl", lines);
  options.offset = 10;
  EXPECT_ERROR(read_data(options), files.message("s.jsonl", "offset 10 leaves no sample of 10"));
}

TEST(ReadData, ContentHashNamesWhatIsUsed) {
  const Files files;
  const DataSet before = read_data(files.with("a.json", kConversations));
  const DataSet moved = read_data(files.with("b.json", kConversations));
  EXPECT_EQ(before.content, moved.content);
  files.folder.write("images/b.png", "another picture");
  const DataSet after = read_data(files.with("a.json", kConversations));
  EXPECT_EQ(before.samples[0].content, after.samples[0].content);
  EXPECT_NE(before.samples[1].content, after.samples[1].content);
  EXPECT_NE(before.content, after.content);
}

TEST(ReadData, UnknownFormatsSayWhatWasTried) {
  const Files files;
  const std::string tried =
      "unknown data format: tried llava (items with 'conversations'), mm-niah (items with "
      "'images_list', 'context' and 'meta'), contexts (items with 'questions' and an image or "
      "'context'), turns (items with 'multi_turns', or a list 'turns' or 'prompt'), qa (items with "
      "'question' and 'answer'), "
      "llava-questions (items with 'question_id' and 'text'), coco-captions (an object with "
      "'images' and 'annotations', or items with 'image' and 'caption'), mm-vet (an object of "
      "entries with 'imagename'), milebench (an object with 'meta_data' and 'data'), "
      "vlmevalkit-tsv (a header with 'index' and 'image' or 'question') and text (a .txt file); ";
  // A file of results in MM-Vet's form is no data set.
  EXPECT_ERROR(read_data(files.with("o.json", "{\n \"v1_0\": \"x\",\n \"v1_1\": \"y\"\n}")),
               files.message("o.json",
                             tried + "the file is one JSON object, which has the keys v1_0, v1_1"));
  EXPECT_ERROR(read_data(files.with("k.json", R"([{"text": "q", "picture": "x"}])")),
               files.message("k.json", tried + "the first item has the keys picture, text"));
  EXPECT_ERROR(read_data(files.with("n.json", "[3]")),
               files.message("n.json", tried + "the first item is of type number"));
  EXPECT_ERROR(read_data(files.with("n.md", "# Title")),
               files.message("n.md", tried + "the file is neither JSON nor JSON lines"));
  DataOptions wrong = files.with("n.json", "[3]");
  wrong.format = "lava";
  EXPECT_ERROR(read_data(wrong),
               files.message("n.json", "unknown data format 'lava'; did you mean 'llava'?"));
}

TEST(ReadData, BrokenBytesNameTheirLine) {
  const Files files;
  EXPECT_ERROR(read_data(files.with("l.jsonl", "{\"a\": 1}\n{\"a\": \n")),
               files.folder.path().string() +
                   "/l.jsonl:2: not valid JSON: column 7: unexpected end of input; expected '[', "
                   "'{', or a literal");
  // What shows or copies such a value would run out of stack.
  const std::string deep = "{\"a\": " + std::string(1000000, '[') + std::string(1000000, ']') + "}";
  EXPECT_ERROR(
      read_data(files.with("d.jsonl", "{\"a\": 1}\n" + deep)),
      files.folder.path().string() + "/d.jsonl:2: not read: nested deeper than 256 levels");
  EXPECT_ERROR(read_data(files.with("d.json", deep)),
               files.folder.path().string() +
                   "/d.json: not read: its values are nested deeper than 256 levels");
  EXPECT_ERROR(read_data(files.with("u.jsonl", "{\"a\": 1}\n{\"a\": \"\xff\"}\n")),
               files.folder.path().string() + "/u.jsonl:2: not UTF-8 (byte 0xff)");
  // Overlong, surrogate and beyond U+10FFFF are not UTF-8 either; the last valid code point is.
  for (const char* bad : {"\xc0\xaf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2"}) {
    EXPECT_ERROR_CONTAINS(read_data(files.with("u.txt", bad)), "not UTF-8");
  }
  EXPECT_ERROR_CONTAINS(read_data(files.with("u.txt", "\xf4\x8f\xbf\xbf \xe2\x82\xac")),
                        "a window needs");
  EXPECT_ERROR(read_data(files.with("e.json", " \n")),
               files.message("e.json", "the file is empty"));
  EXPECT_ERROR(read_data(files.with("e.json", "[]")),
               files.message("e.json", "the file holds no items"));
}

TEST(ReadText, WindowsKeepTheFilesWhiteSpace) {
  const Files files;
  DataOptions options = files.with("t.txt", " one two\nthree  four five six\tseven\n");
  options.context_words = 2;
  options.answer_words = 1;
  const DataSet data = read_data(options);
  EXPECT_EQ(data.format, "text");
  ASSERT_EQ(ids(data), (std::vector<std::string>{"window-0", "window-1"}));
  EXPECT_EQ(data.samples[0].question, "one two");
  EXPECT_EQ(data.samples[0].answer, "\nthree");
  EXPECT_EQ(data.samples[1].question, "four five");
  EXPECT_EQ(data.samples[1].answer, " six");
}

TEST(DataSetName, ComesFromThePath) {
  EXPECT_EQ(data_set_name("a/detail_1k.json"), "detail_1k");
  EXPECT_EQ(data_set_name("datasets/stamp-scenes/test/annotations.json"), "stamp-scenes-test");
  EXPECT_EQ(data_set_name("annotations.json"), "annotations");
  EXPECT_EQ(data_set_name("mm-vet/test.json"), "mm-vet-test");
  EXPECT_EQ(data_set_name("data/llava-bench-in-the-wild"), "llava-bench-in-the-wild");
  EXPECT_EQ(data_set_name("data/llava-bench-in-the-wild/"), "llava-bench-in-the-wild");
}

TEST(ReadQa, SeveralImagesAndTheirPlaces) {
  const Files files;
  const std::string text =
      R"([{"id": "x", "image": ["images/a.png", "images/b.png"], "question": "Which?", "answer": "a"},
          {"id": "y", "images": ["images/b.png"], "question": "<image> What?", "answer": "b"}])";
  DataOptions options = files.with("q.json", text);
  const DataSet data = read_data(options);
  ASSERT_EQ(data.samples.at(0).images.size(), 2U);
  EXPECT_EQ(data.samples[0].images[1].path, files.folder.path() / "images/b.png");
  EXPECT_EQ(data.samples[0].question, "Which?");
  EXPECT_NE(data.samples[0].content, data.samples[1].content);
  options.image_place = "after";
  const DataSet after = read_data(options);
  EXPECT_EQ(after.samples[0].question, "Which?\n<image>\n<image>");
  EXPECT_EQ(after.samples[1].question, "<image> What?");
  EXPECT_NE(after.samples[0].content, data.samples[0].content);
  options.image_place = "before";
  EXPECT_EQ(read_data(options).samples[0].question, "<image>\n<image>\nWhich?");
  EXPECT_ERROR(
      read_data(files.with("n.json", R"([{"id": "x", "image": ["images/a.png", "images/b.png"],
                                          "question": "<image>?", "answer": "a"},
                                         {"id": "y", "image": ["images/a.png", 3],
                                          "question": "?", "answer": "a"}])")),
      files.message("n.json",
                    "2 problems\n"
                    "  malformed items: 1\n"
                    "    item 1 ('y'): 'image' holds an entry of type number, a string is needed\n"
                    "  places of images that do not fit the images: 1\n"
                    "    item 0 ('x'): the question has <image> 1 times, the item names 2 "
                    "images"));
}

}  // namespace
}  // namespace elastikv
