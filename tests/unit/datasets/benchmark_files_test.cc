// Question files as benchmarks publish them, by the names that they give questions and answers.
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
#include "datasets/dataset.h"
#include "support.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;

TEST(Benchmarks, PopesLabelsAreAnswers) {
  const Files files;
  const std::string rows =
      R"({"question_id": 1, "image": "a.png", "text": "Is there a snowboard in the image?", "label": "yes"}
{"question_id": 2, "image": "a.png", "text": "Is there a car in the image?", "label": "no"}
)";
  DataOptions options = files.with("coco_pope_random.json", rows);
  const DataSet data = read_data(options);
  EXPECT_EQ(data.format, "llava-questions");
  EXPECT_EQ(ids(data), (Texts{"1", "2"}));
  EXPECT_EQ(answers(data), (Texts{"yes", "no"}));
  EXPECT_EQ(data.samples[1].question, "Is there a car in the image?");
  EXPECT_EQ(data.samples[1].images.size(), 1U);
  // Another file's answers are taken where one is named.
  options.answers = files.folder.write("a.jsonl",
                                       "{\"question_id\": 1, \"text\": \"It is.\"}\n"
                                       "{\"question_id\": 2, \"text\": \"No.\"}\n");
  EXPECT_EQ(answers(read_data(options)), (Texts{"It is.", "No."}));
  // One question without a label is told.
  EXPECT_ERROR(read_data(files.with("p.json",
                                    rows + R"({"question_id": 3, "image": "a.png", "text": "q"})")),
               files.message("p.json", "line 3 ('3'): 'answer' is missing"));
}

TEST(Benchmarks, TenPeoplesAnswersAreOneThatIsScoredAndAllAccepted) {
  const Files files;
  // As VizWiz, VQAv2 and the exports of TextVQA write them.
  const DataSet data = read_data(files.with("v.json", R"([
    {"image": "a.png", "question": "What is it?", "answer_type": "other", "answerable": 1,
     "answers": [{"answer": "soda", "answer_confidence": "yes"},
                 {"answer": "coca cola", "answer_confidence": "yes"},
                 {"answer": "coke", "answer_confidence": "maybe"},
                 {"answer": "coca cola", "answer_confidence": "yes"}]},
    {"question_id": 458752000, "image": "a.png", "question": "Is it?",
     "answers": ["no", "yes", "yes", "no"]},
    {"question_id": 3, "image": "a.png", "question": "How many?", "answers": [{"answer": 4}]}])"));
  EXPECT_EQ(data.format, "qa");
  EXPECT_EQ(answers(data), (Texts{"coca cola", "no", "4"}));
  EXPECT_EQ(data.samples[0].references, (Texts{"coca cola", "soda", "coke"}));
  EXPECT_EQ(data.samples[1].references, (Texts{"no", "yes"}));
  EXPECT_EQ(data.samples[2].references, Texts{});
  // Every vote, in the file's order.
  EXPECT_EQ(data.samples[0].votes, (Texts{"soda", "coca cola", "coke", "coca cola"}));
  EXPECT_EQ(data.samples[1].votes, (Texts{"no", "yes", "yes", "no"}));
  EXPECT_EQ(data.samples[2].votes, Texts{"4"});
  EXPECT_ERROR(
      read_data(files.with("v.json", R"([{"question": "q", "answers": [{"text": "x"}]}])")),
      files.message("v.json",
                    "item 0 ('0'): 'answers' holds an entry of type object, a string is "
                    "needed"));
  // A list as `answer` stays as it is written: the first is scored.
  EXPECT_EQ(
      answers(read_data(files.with("v.json", R"([{"question": "q", "answer": ["x", "y", "y"]}])"))),
      Texts{"x"});
}

TEST(Benchmarks, MmesTwoQuestionsAboutAnImage) {
  const Files files;
  const DataSet data = read_data(files.with(
      "mme.jsonl",
      R"({"question_id": "code_reasoning/0020.png", "image": "a.png", "question": "Is it C++?", "answer": "Yes", "category": "code_reasoning"}
{"question_id": "code_reasoning/0020.png", "image": "a.png", "question": "Is it Python?", "answer": "No", "category": "code_reasoning"}
)"));
  EXPECT_EQ(ids(data), (Texts{"code_reasoning/0020.png", "code_reasoning/0020.png#2"}));
  EXPECT_EQ(answers(data), (Texts{"Yes", "No"}));
}

TEST(Benchmarks, OtherNamesOfQuestionsAndAnswers) {
  const Files files;
  for (const auto& [row, question, answer] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {R"({"query": "q", "label": "No"})", "q", "No"},
           {R"({"prompt": "q", "ground_truth": "x"})", "q", "x"},
           {R"({"question": "q", "gt": "x"})", "q", "x"},
           {R"({"question": "q", "answer_text": "x"})", "q", "x"},
           {R"({"question": "q", "gt_answer": "It is red.", "model_answer": ""})", "q",
            "It is red."},
           // HallusionBench: 0 and 1 stand for no and yes.
           {R"({"question": "q", "gt_answer": "1", "gt_answer_details": "Yes, they are."})", "q",
            "Yes, they are."},
           // Earlier names win.
           {R"({"question": "q", "query": "Hint: q", "answer": "x", "answers": ["y"]})", "q", "x"},
           // MATH's and ScienceQA's explanations are no answers.
           {R"({"question": "q", "answer": "x", "solution": "Because."})", "q", "x"}}) {
    const DataSet data = read_data(files.with("d.json", "[" + row + "]"));
    EXPECT_EQ(data.format, "qa") << row;
    EXPECT_EQ(data.samples[0].question, question) << row;
    EXPECT_EQ(data.samples[0].answer, answer) << row;
  }
  EXPECT_ERROR(read_data(files.with("d.json", R"([{"question": "q", "solution": "Because."}])")),
               files.message("d.json", "item 0 ('0'): 'answer' is missing"));
}

/// The names that were added take no file from a format that knew it before.
TEST(Benchmarks, CaptionsStayCaptions) {
  const Files files;
  EXPECT_EQ(read_data(files.with("d.json", R"([{"image": "a.png", "caption": "c", "prompt": "p",
                                                "label": "l"}])"))
                .format,
            "coco-captions");
  DataOptions questions =
      files.with("q.jsonl", R"({"question_id": 1, "image": "a.png", "prompt": "p", "text": "t"})");
  questions.needs_answers = false;
  EXPECT_EQ(read_data(questions).format, "llava-questions");
}

TEST(Benchmarks, PlacesAmongChoicesAndClassesAreNoTexts) {
  const Files files;
  const std::string choices = R"("question": "Which?", "choices": ["salt", "sugar"])";
  const std::string why =
      ", a place among its 'choices' and no text; write the chosen text, or make it a table with "
      "the options in columns A, B, ...";
  DataOptions science = files.with("s.json", "[{" + choices + R"(, "answer": 1}])");
  EXPECT_ERROR(read_data(science), files.message("s.json", "item 0 ('0'): 'answer' is 1" + why));
  EXPECT_ERROR(read_data(files.with("s.json", "[{" + choices + R"(, "answer": "0"}])")),
               files.message("s.json", "item 0 ('0'): 'answer' is \"0\"" + why));
  EXPECT_ERROR(read_data(files.with("s.json", R"([{"question": "q", "label": 2}])")),
               files.message("s.json",
                             "item 0 ('0'): 'label' is 2, the number of a class and no "
                             "text"));
  // Texts are texts, and a number that is one of the choices too.
  EXPECT_EQ(answers(read_data(files.with("s.json", "[{" + choices + R"(, "answer": "salt"},
      {"question": "How many?", "options": ["3", "4"], "answer": "4"},
      {"question": "How many?", "answer": 3}])"))),
            (Texts{"salt", "4", "3"}));
  EXPECT_EQ(read_data(files.with("s.json", "[{" + choices + R"(, "answer": "salt"}])"))
                .samples[0]
                .options,
            (Texts{"salt", "sugar"}));
  // Where no answer is needed, none is asked for.
  science = files.with("s.json", "[{" + choices + R"(, "answer": 1}])");
  science.needs_answers = false;
  EXPECT_EQ(answers(read_data(science)), Texts{""});
}

TEST(Benchmarks, AnswersAreAskedForOnlyWhereTheyAreNeeded) {
  const Files files;
  const std::string talk = R"([{"id": "x", "conversations": [{"from": "human", "value": "q"}]},
      {"id": "y", "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": null}]}])";
  for (const auto& [name, text] : std::vector<std::pair<std::string, std::string>>{
           {"q.json", R"([{"question": "q", "image": "a.png"}])"},
           {"q.json", R"([{"question": "q", "answer": null}, {"question": "r", "answer": "x"}])"},
           {"q.json", R"([{"question": "q", "answer": {}}, {"question": "r", "answer": "x"}])"},
           {"q.json", R"({"question": "q"})"},
           {"q.json", R"([{"question": "q", "answers": []}])"},
           {"q.jsonl", R"({"question_id": 1, "image": "a.png", "text": "q"})"},
           {"q.json", R"({"v1_0": {"imagename": "a.png", "question": "q"}})"},
           {"c.json", talk},
           {"t.tsv", "index\timage_path\tquestion\n1\ta.png\tq\n"},
           {"t.tsv", "index\timage_path\tquestion\tA\tB\tanswer\n1\ta.png\tq\tx\ty\tC\n"},
           {"t.tsv", "index\timage_path\tquestion\tanswer\n1\ta.png\tq\t['x\n"}}) {
    SCOPED_TRACE(text);
    DataOptions options = files.with(name, text);
    options.needs_answers = false;
    const DataSet data = read_data(options);
    EXPECT_EQ(data.samples[0].answer, "");
    EXPECT_EQ(data.samples[0].problem, "");
    options.needs_answers = true;
    EXPECT_THROW(read_data(options), Error);
  }
}

TEST(Benchmarks, ImagesUnderOtherNamesAreMissed) {
  const Files files;
  const DataSet data = read_data(files.with("d.json", R"([
    {"question": "q", "answer": "x", "image_id": 46207},
    {"question": "q", "answer": "y", "image": "a.png", "image_id": 46207},
    {"question": "q", "answer": "z"}])"));
  EXPECT_EQ(data.notes, (Texts{"1 of 3 items is asked as text alone: 'image_id' is not read; an "
                               "image is called image, images, imagename, image_path, file_name "
                               "or filename"}));
}

TEST(Benchmarks, RowsOfATableMayBeTextAlone) {
  const Files files;
  const std::string base64(68, 'A');
  const DataSet mixed = read_data(files.with(
      "t.tsv",
      "index\timage\tquestion\tA\tB\tanswer\n1\t" + base64 +
          "\tWhat?\tyes\tno\tA\n2\t\tIs water wet?\tyes\tno\tA\n3\t \tAnd ice?\tyes\tno\tB\n"));
  ASSERT_EQ(ids(mixed), (Texts{"1", "2", "3"}));
  EXPECT_EQ(mixed.samples[0].images.size(), 1U);
  EXPECT_EQ(mixed.samples[1].images.size(), 0U);
  EXPECT_EQ(mixed.samples[1].problem, "");
  EXPECT_EQ(mixed.samples[1].answer, "A. yes");
  EXPECT_EQ(mixed.notes, Texts{"2 of 3 rows have no image and are asked as text alone"});
  const DataSet texts = read_data(
      files.with("t.tsv", "index\tquestion\tanswer\n1\tIs water wet?\tyes\n2\tAnd ice?\tno\n"));
  EXPECT_EQ(texts.format, "vlmevalkit-tsv");
  EXPECT_EQ(answers(texts), (Texts{"yes", "no"}));
  // An image's place is a question about one, and so is the request for a caption.
  EXPECT_ERROR(
      read_data(files.with("t.tsv", "index\timage\tquestion\tanswer\n1\t\t<image> q\tx\n")),
      files.message("t.tsv",
                    "line 2 ('1'): the question has <image>, but the item names no "
                    "image"));
  EXPECT_ERROR(read_data(files.with("t.tsv", "index\timage\tanswer\n1\t\tx\n")),
               files.message("t.tsv", "line 2 ('1'): the row has no image"));
}

}  // namespace
}  // namespace elastikv
