// Questions that name their images where these stand, as MMMU's do.
#include "datasets/image_markers.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "datasets/dataset.h"
#include "support.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;

/// Questions with images by name, where markers are "<image {n}>".
class Markers : public testing::Test {
 protected:
  Markers() { files_.folder.write("images/c.png", "third picture"); }

  DataOptions options(const std::string& items) const {
    DataOptions options = files_.with("a.json", items);
    options.image_markers = "<image {n}>";
    return options;
  }
  /// An item with images a, b and c.
  DataOptions asking(const std::string& question) const {
    return options(R"([{"id": "x", "image": ["a.png", "b.png", "c.png"], "question": ")" +
                   question + R"(", "answer": "It."}])");
  }
  static std::string images(const Sample& sample) {
    std::string names;
    for (const ImageFile& image : sample.images) names += image.path.stem().string();
    return names;
  }
  std::string refusal(const std::string& problem) const {
    return files_.message("a.json", "item 0 ('x'): " + problem);
  }

  Files files_;
};

TEST_F(Markers, AreWhereTheImagesStand) {
  const DataSet data = read_data(asking("Is <image 2> older than <image 1>, or <image 3>?"));
  EXPECT_EQ(data.samples[0].question, "Is<image>older than<image>, or<image>?");
  EXPECT_EQ(images(data.samples[0]), "bac");
  EXPECT_TRUE(data.notes.empty());
}

TEST_F(Markers, ShowAnImageAsOftenAsTheyNameIt) {
  const DataSet data =
      read_data(asking("<image 1> <image 3>\\nWhich is in <image 1>?\\n <image 2>\\u00a0"));
  EXPECT_EQ(data.samples[0].question, "<image><image>Which is in<image>?<image>");
  EXPECT_EQ(images(data.samples[0]), "acab");
}

TEST_F(Markers, LeaveOutWhatTheyDoNotName) {
  DataSet data = read_data(asking("What is <image 2>?"));
  EXPECT_EQ(images(data.samples[0]), "b");
  EXPECT_EQ(data.notes, Texts{"2 images that no marker in their question names are left out"});
  data = read_data(asking("<image 3> or <image 1>?"));
  EXPECT_EQ(data.notes, Texts{"1 image that no marker in its question names is left out"});
}

TEST_F(Markers, WithoutAnyAQuestionStaysAsItIs) {
  // What looks like a marker and is none: zeros, signs, other texts.
  for (const std::string question :
       {"What is it? ", "<image 0>", "<image 01>", "<image -1>", "<image 1 >", "<image >", "<image",
        "<Image 1>", "<image 1", "< image 1>"}) {
    const DataSet data = read_data(asking(question));
    EXPECT_EQ(data.samples[0].question, question);
    EXPECT_EQ(images(data.samples[0]), "abc");
    EXPECT_TRUE(data.notes.empty());
  }
  const DataSet placed = read_data(asking("<image>, <image>\\n<image>"));
  EXPECT_EQ(placed.samples[0].question, "<image>, <image>\n<image>");
  EXPECT_EQ(images(placed.samples[0]), "abc");
}

TEST_F(Markers, AreTextWithoutTheKey) {
  DataOptions options = asking("Is <image 2> older than <image 1>?");
  options.image_markers = "";
  const DataSet data = read_data(options);
  EXPECT_EQ(data.samples[0].question, "Is <image 2> older than <image 1>?");
  EXPECT_EQ(images(data.samples[0]), "abc");
}

TEST_F(Markers, MayBeAnyTextAroundTheNumber) {
  DataOptions options = asking("See [IMG2], [IMG12] and [IMG1].");
  options.image_markers = "[IMG{n}]";
  EXPECT_ERROR(read_data(options),
               refusal("the question names [IMG12], the item has images 1, 2 and 3 alone"));
  options = asking("See (fig. 2)(fig. 1)");
  options.image_markers = "(fig. {n})";
  EXPECT_EQ(read_data(options).samples[0].question, "See<image><image>");
  options = asking("See <image>2</image>.");
  options.image_markers = "<image>{n}</image>";
  EXPECT_EQ(read_data(options).samples[0].question, "See<image>.");
}

TEST_F(Markers, OfImagesThatAreNotThereAreProblems) {
  EXPECT_ERROR(read_data(asking("What is <image 4>?")),
               refusal("the question names <image 4>, the item has images 1, 2 and 3 alone"));
  EXPECT_ERROR(
      read_data(asking("<image 1> <image 99999999999999999999>")),
      refusal(
          "the question names <image 99999999999999999999>, the item has images 1, 2 and 3 alone"));
  EXPECT_ERROR(
      read_data(options(R"([{"id": "x", "question": "What is <image 1>?", "answer": "It."}])")),
      refusal("the question names <image 1>, the item has no image"));
  EXPECT_ERROR(read_data(asking("Is <image> older than <image 1>?")),
               refusal("the question has both <image> and <image 1>"));
  DataOptions some = options(R"([
    {"id": "x", "image": "a.png", "question": "What is <image 2>?", "answer": "It."},
    {"id": "y", "image": "a.png", "question": "What is <image 1>?", "answer": "It."}])");
  some.on_problem = OnProblem::kRecord;
  const DataSet data = read_data(some);
  EXPECT_EQ(data.samples[0].problem, "the question names <image 2>, the item has image 1 alone");
  EXPECT_EQ(data.samples[1].problem, "");
}

TEST_F(Markers, NeedANumberBetweenTexts) {
  for (const std::string form : {"<image>", "{n}", "<image {n}", "{n}>", "<image {n}{n}>",
                                 "<{n}:{n}>", "<image 1{n}>", "<image {n}1>"}) {
    EXPECT_ERROR(ImageMarkers{form},
                 "'" + form + "' needs {n} once, between two texts, with no digit beside it");
  }
}

TEST_F(Markers, NumberColumnsByTheirPlaces) {
  DataOptions options =
      files_.with("b.json",
                  R"([{"q": "Which comes after <image 3>?", "i": "a.png", "j": null, "k": "c.png",
           "o": ["<image 1>", "none"], "a": "A"},
          {"q": "Which comes after <image 2>?", "i": "a.png", "j": ["b.png", null], "k": "c.png",
           "o": ["<image 4>", "none"], "a": "A"}])");
  options.image_markers = "<image {n}>";
  options.columns = asked("q", "a");
  options.columns->images = {"i", "j", "k"};
  options.columns->options = {"o"};
  const DataSet data = read_data(options);
  EXPECT_EQ(data.samples[0].question,
            "Which comes after<image>?\nA.<image>B. none\nAnswer with the option's letter and its "
            "text.");
  EXPECT_EQ(images(data.samples[0]), "ca");
  EXPECT_EQ(images(data.samples[1]), "bc");
  // What is judged and scored keeps the option's text.
  EXPECT_EQ(data.samples[0].options, (Texts{"<image 1>", "none"}));
  EXPECT_EQ(data.samples[0].answer, "A. <image 1>");
}

TEST_F(Markers, BelongToTheQuestionThatIsSurrounded) {
  DataOptions options = asking("<image 1>\\nWhich is it?\\n<image 2>");
  options.question_before = "Look. ";
  options.question_after = "\n\nBe brief. ";
  EXPECT_EQ(read_data(options).samples[0].question, "Look.<image>Which is it?<image>Be brief.");
  // Placed by `<image>` they stay outside, as ever.
  options = asking("<image>\\nWhich is it?\\n<image>\\n<image>");
  options.question_before = "Look. ";
  options.question_after = "\n\nBe brief. ";
  EXPECT_EQ(read_data(options).samples[0].question,
            "<image>\nLook. Which is it?\n\nBe brief. \n<image>\n<image>");
}

}  // namespace
}  // namespace elastikv
