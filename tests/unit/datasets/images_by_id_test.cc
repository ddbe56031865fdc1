// Images that a data set keeps in a table of their own.
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "datasets/dataset.h"
#include "image/image.h"
#include "support.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;

class ImagesApart : public testing::Test {
 protected:
  /// Questions whose column of ids is `ids`.
  DataOptions questions(const std::string& ids, const std::string& table) const {
    DataOptions options;
    options.path = fixtures() / "parquet/apart/questions";
    options.image_cache = folder_.path() / "cache";
    options.columns = asked("question", "answer");
    options.columns->images = {ids};
    options.columns->id = "id";
    options.images_from.emplace();
    options.images_from->path = table;
    return options;
  }
  static DataSet read(const DataOptions& options) {
    return read_data(options, [](const std::filesystem::path& file) { check_image(file); });
  }
  /// The red of each of a sample's images, as make_parquet.py has painted it.
  static std::vector<int> reds(const Sample& sample) {
    std::vector<int> all;
    for (const ImageFile& image : sample.images) all.push_back(read_image(image).pixels[0]);
    return all;
  }
  static std::string at(const std::string& inside) {
    return (fixtures() / "parquet" / inside).string();
  }

  TemporaryFolder folder_;
};

TEST_F(ImagesApart, AreFoundByTheirIds) {
  const DataSet data = read(questions("imageId", "../images"));
  ASSERT_EQ(ids(data), (Texts{"q0", "q1", "q2", "q3"}));
  EXPECT_EQ(reds(data.samples[0]), std::vector<int>{120});
  EXPECT_EQ(reds(data.samples[1]), std::vector<int>{40});
  EXPECT_EQ(reds(data.samples[3]), std::vector<int>{80});
  // Questions about one image are a cluster; of the table nothing else is kept.
  EXPECT_EQ(data.samples[0].images, data.samples[2].images);
  EXPECT_EQ(data.samples[0].cluster, data.samples[2].cluster);
  size_t kept = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / "cache"))
    kept += entry.is_regular_file() ? 1 : 0;
  EXPECT_EQ(kept, 3U);
}

TEST_F(ImagesApart, OfSelectedSamplesAloneAreRead) {
  DataOptions options = questions("imageId", "../images");
  options.sample_ids = {"q1"};
  EXPECT_EQ(reds(read(options).samples[0]), std::vector<int>{40});
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path() / "cache"), {}), 1);
}

TEST_F(ImagesApart, HaveIdsThatAreTextsOrIntegersAlike) {
  DataOptions options = questions("number", "../numbered.parquet");
  options.images_from->id = "key";
  options.images_from->image = "picture";
  EXPECT_EQ(reds(read(options).samples[3]), std::vector<int>{2});
  // In JSON, with a table by its whole path; integers, texts, lists, none.
  options.path = folder_.write("q.json", R"([
    {"id": 1, "number": 3, "question": "q", "answer": "a"},
    {"id": 2, "number": ["1", 2], "question": "q", "answer": "a"},
    {"id": 3, "number": null, "question": "q", "answer": "a"},
    {"id": 4, "number": "['2', '']", "question": "q", "answer": "a"}])");
  options.images_from->path = at("apart/numbered.parquet");
  const DataSet data = read(options);
  EXPECT_EQ(reds(data.samples[0]), std::vector<int>{3});
  EXPECT_EQ(reds(data.samples[1]), (std::vector<int>{1, 2}));
  EXPECT_EQ(reds(data.samples[2]), std::vector<int>{});
  EXPECT_EQ(reds(data.samples[3]), std::vector<int>{2});
}

TEST_F(ImagesApart, SeveralOfARow) {
  const DataSet data = read(questions("both", "../images"));
  EXPECT_EQ(reds(data.samples[0]), (std::vector<int>{40, 80}));
  EXPECT_EQ(reds(data.samples[1]), std::vector<int>{});
  EXPECT_EQ(reds(data.samples[2]), std::vector<int>{120});
}

TEST_F(ImagesApart, GiveASampleTheContentThatItHasWithAFile) {
  const DataSet apart = read(questions("imageId", "../images"));
  const Files files;
  files.folder.write("n3.png", read_file(apart.samples[0].images.at(0).path));
  const DataSet beside = read_data(files.with(
      "x.json", R"([{"image": "n3.png", "question": "What is it?", "answer": "It is square."}])"));
  EXPECT_EQ(apart.samples[0].content, beside.samples[0].content);
}

TEST_F(ImagesApart, ThatAreNotThereAreNamedByRow) {
  DataOptions options = questions("imageId", "../images/test-00000-of-00002.parquet");
  EXPECT_ERROR(read(options), at("apart/questions") + R"(: 2 problems
  missing images: 2
    row 0 of test-00000-of-00001.parquet ('q0'): no image has the id 'n3' in )" +
                                  at("apart/images/test-00000-of-00002.parquet") + R"(
    row 2 of test-00000-of-00001.parquet ('q2'): no image has the id 'n3' in )" +
                                  at("apart/images/test-00000-of-00002.parquet"));
  options.on_problem = OnProblem::kRecord;
  const DataSet data = read(options);
  EXPECT_EQ(data.samples[0].problem,
            "no image has the id 'n3' in " + at("apart/images/test-00000-of-00002.parquet"));
  EXPECT_EQ(data.samples[1].problem, "");
}

TEST_F(ImagesApart, WithARepeatedIdAreRefusedWhereTheyAreAskedFor) {
  DataOptions options = questions("imageId", "../../hostile/apart-repeated.parquet");
  options.on_problem = OnProblem::kRecord;
  const DataSet data = read(options);
  EXPECT_EQ(data.samples[1].problem, "several images have the id 'n1' in " +
                                         at("hostile/apart-repeated.parquet") +
                                         ": row 0 and row 2");
  EXPECT_EQ(reds(data.samples[0]), std::vector<int>{120});
}

TEST_F(ImagesApart, ThatAreNoneOrSeveralAreNamedByFileAndRow) {
  DataOptions options = questions("imageId", "../../hostile/apart-images.parquet");
  options.path =
      folder_.write("q.jsonl", R"({"id": 1, "imageId": "n1", "question": "q", "answer": "a"}
{"id": 2, "imageId": "n2", "question": "q", "answer": "a"}
{"id": 3, "imageId": "n3", "question": "q", "answer": "a"}
{"id": 4, "imageId": "n4", "question": "q", "answer": "a"}
{"id": 5, "imageId": "n5", "question": "q", "answer": "a"}
)");
  options.images_from->path = at("hostile/apart-images.parquet");
  options.on_problem = OnProblem::kRecord;
  const DataSet data = read(options);
  EXPECT_EQ(reds(data.samples[0]), std::vector<int>{40});
  const std::string file = at("hostile/apart-images.parquet");
  EXPECT_EQ(data.samples[1].problem, file + ": row 1: 'image' holds 2 images, one is needed");
  EXPECT_EQ(data.samples[2].problem, file + ": row 2: 'image' holds 0 images, one is needed");
  EXPECT_EQ(data.samples[3].problem, file + ": row 3: the image is of 0 bytes");
  EXPECT_EQ(data.samples[4].problem, file + ": row 4: the image is null");
}

TEST_F(ImagesApart, WithIdsOfOtherTypesAreNoTable) {
  const auto refused = [&](const std::string& column, const std::string& problems) {
    DataOptions options = questions("imageId", "../../hostile/apart-ids.parquet");
    options.images_from->id = column;
    options.on_problem = OnProblem::kRecord;  // which changes nothing about the table
    EXPECT_ERROR_CONTAINS(read(options), problems);
  };
  const std::string file = at("hostile/apart-ids.parquet");
  refused("id", "\n    " + file + ": row 1: 'id' is null, a string or an integer is needed\n    " +
                    file + ": row 2: 'id' is \" \", a string or an integer is needed\n");
  refused("share", file + ": row 1: 'share' is 1.0, a string or an integer is needed");
  refused("right", file + ": row 0: 'right' is true, a string or an integer is needed");
  refused("list", file + ": row 0: 'list' is [\"n1\"], a string or an integer is needed");
  refused("image", file + ": row 0: 'image' is ");
  refused("idd", file +
                     ": images_from.id is 'idd', no column of the file; did you mean 'id'? It "
                     "has id, share, right, list and image");
}

TEST_F(ImagesApart, WithoutATableAreRefusedInOneLine) {
  const auto refused = [&](const std::string& table, const std::string& problem) {
    EXPECT_ERROR(read(questions("imageId", table)), problem);
  };
  refused("../gone", at("apart/gone") +
                         ": is not there; 'images_from' names it, seen from the folder of the "
                         "data");
  std::filesystem::create_directory(folder_.path() / "empty");
  refused(folder_.path() / "empty",
          (folder_.path() / "empty").string() +
              ": the folder holds no Parquet files, in which 'images_from' has its images");
  refused(folder_.write("images.json", "[]"),
          (folder_.path() / "images.json").string() +
              ": is no Parquet file, in which 'images_from' has its images");
  refused("../../textvqa/data", at("textvqa/data") +
                                    ": holds Parquet files of the splits train, validation; name "
                                    "one with 'split'");
  DataOptions options = questions("imageId", "../images");
  options.images_from->image = "id";
  EXPECT_ERROR(read(options), at("apart/images/test-00000-of-00002.parquet") +
                                  ": images_from.image is 'id', a column without bytes, which "
                                  "images are");
  options = questions("imageId", "../numbered.parquet");
  options.images_from->split = "test";
  EXPECT_ERROR(read(options), at("apart/numbered.parquet") +
                                  ": images_from.split chooses among the files of a folder, this "
                                  "is a file");
  options = questions("imageId", "../images");
  options.columns->images.clear();
  EXPECT_ERROR(read(options), at("apart/questions") +
                                  ": 'images_from' needs columns.images, which hold the ids of its "
                                  "images");
}

TEST_F(ImagesApart, OfQuestionsThatNameNoIdsAreProblems) {
  DataOptions options = questions("imageId", at("apart/images"));
  options.path = folder_.write("q.json", R"([
    {"id": 1, "imageId": 1.5, "question": "q", "answer": "a"},
    {"id": 2, "imageId": true, "question": "q", "answer": "a"},
    {"id": 3, "imageId": {"key": "n1"}, "question": "q", "answer": "a"},
    {"id": 4, "imageId": "n1", "question": "q", "answer": "a"}])");
  EXPECT_ERROR(read(options), options.path.string() + R"(: 3 problems
  malformed items: 3
    item 0 ('1'): 'imageId' holds a value of type number, an id (a text or an integer) is needed
    item 1 ('2'): 'imageId' holds a value of type boolean, an id (a text or an integer) is needed
    item 2 ('3'): 'imageId' holds a value of type object, an id (a text or an integer) is needed)");
}

}  // namespace
}  // namespace elastikv
