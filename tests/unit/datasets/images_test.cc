#include "datasets/images.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "image/image.h"
#include "support.h"
#include "support/expect_error.h"
#include "support/paths.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

std::string item_with(const std::string& image) {
  return "[{\"id\": \"x\", \"image\": \"" + image + "\", \"question\": \"q\", \"answer\": \"a\"}]";
}

/// Where a name is found below a root, with the data file in the folder "data".
class Lookup : public testing::Test {
 protected:
  std::string find(const std::string& name, const std::string& root, const std::string& there) {
    const TemporaryFolder folder;
    folder.write(there, "picture");
    DataOptions options;
    options.path = folder.write("data/d.json", item_with(name));
    if (!root.empty()) options.image_root = folder.path() / root;
    return fs::relative(read_data(options).samples.at(0).images.at(0).path, folder.path()).string();
  }
};

TEST_F(Lookup, TriesWhatPublishedCodeTries) {
  // Below the root, by the whole name and by its last component.
  EXPECT_EQ(find("sub/a.png", "root", "root/sub/a.png"), "root/sub/a.png");
  EXPECT_EQ(find("sub/a.png", "root", "root/a.png"), "root/a.png");
  // The name begins with the root's last folder.
  EXPECT_EQ(find("images/a.png", "root/images", "root/images/a.png"), "root/images/a.png");
  EXPECT_EQ(find("images/sub/a.png", "root/images", "root/images/sub/a.png"),
            "root/images/sub/a.png");
  EXPECT_EQ(find("images/sub/a.png", "root/images/", "root/images/sub/a.png"),
            "root/images/sub/a.png");
  // Beside the data file.
  EXPECT_EQ(find("a.png", "root", "data/a.png"), "data/a.png");
  EXPECT_EQ(find("a.png", "", "data/images/a.png"), "data/images/a.png");
  EXPECT_EQ(find("gone/a.png", "", "data/images/a.png"), "data/images/a.png");
}

TEST_F(Lookup, TheRootComesFirst) {
  const TemporaryFolder folder;
  for (const char* file : {"root/images/a.png", "root/a.png", "images/a.png", "a.png"})
    folder.write(file, file);
  DataOptions options;
  options.path = folder.write("d.json", item_with("images/a.png"));
  options.image_root = folder.path() / "root";
  for (const char* file : {"root/images/a.png", "root/a.png", "images/a.png", "a.png"}) {
    const fs::path found = read_data(options).samples.at(0).images.at(0).path;
    EXPECT_EQ(found, folder.path() / file);
    fs::remove(found);
  }
  const std::string root = options.image_root.string();
  const std::string data = folder.path().string();
  EXPECT_ERROR(read_data(options), options.path.string() + ": item 0 ('x'): no image " + root +
                                       "/images/a.png; also looked in " + root + ", " + data +
                                       "/images, " + data + ", " + data + "/images/images");
}

TEST_F(Lookup, AFolderIsNoImageAndARootHasToBeOne) {
  const TemporaryFolder folder;
  folder.write("a.png/inside.txt", "x");
  DataOptions options;
  options.path = folder.write("d.json", item_with("a.png"));
  EXPECT_ERROR_CONTAINS(read_data(options), "item 0 ('x'): no image ");
  options.image_root = folder.path() / "gone";
  const std::string root = options.image_root.string();
  EXPECT_ERROR(read_data(options),
               options.path.string() + ": 2 problems\n  missing folders: 1\n    image_root is " +
                   root + ", which is no folder\n  missing images: 1\n    item 0 ('x'): no image " +
                   root + "/a.png; also looked in " + folder.path().string() + ", " +
                   folder.path().string() + "/images");
}

TEST_F(Lookup, LongNamesAreCutInMessages) {
  const Files files;
  const std::string name = std::string(200, 'n') + ".png";
  EXPECT_ERROR_CONTAINS(read_data(files.with("d.json", item_with(name))), "... (");
}

TEST_F(Lookup, EveryImageIsCheckedOnce) {
  const Files files;
  std::string lines;
  for (int i = 0; i < 20; ++i) {
    lines += "{\"id\": " + std::to_string(i) +
             R"(, "image": "images/a.png", "question": "q", "answer": "a"})" + "\n";
  }
  int checks = 0;
  read_data(files.with("d.jsonl", lines), [&](const fs::path&) { ++checks; });
  EXPECT_EQ(checks, 1);
}

/// 66 bytes that are no image, whose base64 is longer than a reference, and their file.
const std::string kBytes = "\x89PNG" + std::string(62, 'x');
const std::string kBase64 =
    "iVBOR3h4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4";

std::string table_with(const std::string& image) {
  return "index\timage\tquestion\tanswer\n1\t" + image + "\tq\ta\n";
}

TEST(EmbeddedImages, BecomeFilesNamedByTheirContent) {
  const Files files;
  const fs::path file = files.folder.path() / "cache" / (content_hash(kBytes) + ".png");
  const DataOptions options = files.with("t.tsv", table_with(kBase64));
  const DataSet data = read_data(options);
  EXPECT_EQ(data.samples.at(0).images.at(0).path, file);
  EXPECT_EQ(read_file(file), kBytes);
  // The content is that of the same image in a file.
  files.folder.write("images/same.png", kBytes);
  EXPECT_EQ(read_data(files.with("d.json", item_with("same.png"))).samples.at(0).content,
            data.samples[0].content);
  // As JSON gives it: the same file.
  EXPECT_EQ(read_data(files.with("d.json", item_with(kBase64))).samples.at(0).images.at(0).path,
            file);
  EXPECT_EQ(read_data(files.with("d.json", item_with("data:image/png;base64," + kBase64)))
                .samples.at(0)
                .images.at(0)
                .path,
            file);
  EXPECT_EQ(std::distance(fs::directory_iterator(file.parent_path()), fs::directory_iterator()), 1);
}

TEST(EmbeddedImages, AreNotWrittenAgainUnlessTheyWereCut) {
  const Files files;
  const DataOptions options = files.with("t.tsv", table_with(kBase64));
  const fs::path file = read_data(options).samples.at(0).images.at(0).path;
  const auto long_ago = fs::last_write_time(file) - std::chrono::hours(1);
  fs::last_write_time(file, long_ago);
  read_data(options);
  EXPECT_EQ(fs::last_write_time(file), long_ago);
  files.folder.write("cache/" + file.filename().string(), "cut");
  read_data(options);
  EXPECT_EQ(read_file(file), kBytes);
}

TEST(EmbeddedImages, OnlyTheSelectedOnesAreWritten) {
  const Files files;
  DataOptions options = files.with("t.tsv", table_with(kBase64) + "2\t" + kBase64 + "eHh4\tq\ta\n");
  options.limit = 1;
  const fs::path file = read_data(options).samples.at(0).images.at(0).path;
  EXPECT_EQ(std::distance(fs::directory_iterator(file.parent_path()), fs::directory_iterator()), 1);
}

/// A variable of the environment with another value while the object lives.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    const char* before = std::getenv(name);
    had_value_ = before != nullptr;
    if (had_value_) before_ = before;
    setenv(name, value.c_str(), /*replace=*/1);
  }
  ~Environment() {
    if (had_value_) {
      setenv(name_, before_.c_str(), /*replace=*/1);
    } else {
      unsetenv(name_);
    }
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
  bool had_value_ = false;
  std::string before_;
};

TEST(EmbeddedImages, FolderIsThatOfTheEnvironment) {
  const TemporaryFolder folder;
  const Environment cache("ELASTIKV_CACHE", folder.path().string());
  EXPECT_EQ(default_image_cache(), folder.path() / "pictures");
  const Environment none("ELASTIKV_CACHE", "");
  const Environment xdg("XDG_CACHE_HOME", "/x");
  EXPECT_EQ(default_image_cache(), "/x/elastikv/pictures");
  const Environment no_xdg("XDG_CACHE_HOME", "");
  const Environment home("HOME", "/home/u");
  EXPECT_EQ(default_image_cache(), "/home/u/.cache/elastikv/pictures");
}

TEST(EmbeddedImages, ProblemsNameTheRow) {
  const Files files;
  std::string damaged = kBase64;
  damaged[70] = '*';
  const std::string text = "index\timage\tquestion\tanswer\n1\t" + damaged +
                           "\tq\ta\n2\t9\tq\ta\n3\t" + "2\tq\ta\n4\t['" + kBase64 +
                           "', 'x\tq\ta\n5\t['1', '" + kBase64 + "']\tq\ta\n6\t\tq\ta\n";
  EXPECT_ERROR(read_data(files.with("t.tsv", text)),
               files.message("t.tsv",
                             "5 problems\n"
                             "  malformed items: 1\n"
                             "    line 5 ('4'): 'image' ['" +
                                 kBase64 +
                                 "', 'x is no list\n"
                                 "  references to images that are not there: 2\n"
                                 "    line 3 ('2'): 'image' is '9', no row's index\n"
                                 "    line 4 ('3'): 'image' is '2', a row without an image of its "
                                 "own\n"
                                 "  malformed base64: 2\n"
                                 "    line 2 ('1'): the image '" +
                                 damaged +
                                 "' is not base64\n"
                                 "    line 6 ('5'): the image '" +
                                 damaged + "' is not base64"));
}

TEST(EmbeddedImages, FolderThatCannotBeMadeIsAnError) {
  const Files files;
  DataOptions options = files.with("t.tsv", table_with(kBase64));
  options.image_cache = options.path / "inside";
  EXPECT_ERROR(read_data(options), options.image_cache.string() +
                                       ": cannot make the folder of images: Not a directory");
}

fs::path golden_images() { return source_path("tests/golden/image"); }

/// A data set about images of which two of three are stored turned.
class Turned : public testing::Test {
 protected:
  DataSet read(ImageOrientation orientation) const {
    DataOptions options = files_.with(
        "d.jsonl",
        R"({"question": "q", "answer": "a", "image": "turned_6.jpg"})"
        "\n"
        R"({"question": "r", "answer": "b", "image": "turned_1.jpg"})"
        "\n"
        R"({"question": "s", "answer": "c", "image": ["turned_8.webp", "turned_6.jpg"]})");
    options.image_root = golden_images();
    options.image_orientation = orientation;
    return read_data(options);
  }
  Files files_;
};

TEST_F(Turned, IsSaidOnceForADataSet) {
  EXPECT_EQ(read(ImageOrientation::kStored).notes,
            (std::vector<std::string>{
                "2 of 3 images are stored turned or mirrored (EXIF) and read as stored, as "
                "lmms-eval does; 'image_orientation: exif' turns them upright"}));
  EXPECT_EQ(read(ImageOrientation::kExif).notes,
            (std::vector<std::string>{"2 of 3 images are stored turned or mirrored (EXIF) and "
                                      "turned upright ('image_orientation: exif')"}));
  const Files files;
  EXPECT_TRUE(read_data(files.with("d.json", item_with("images/a.png"))).notes.empty());
}

TEST_F(Turned, IsPartOfASamplesContent) {
  const DataSet stored = read(ImageOrientation::kStored);
  const DataSet upright = read(ImageOrientation::kExif);
  EXPECT_NE(upright.samples[0].content, stored.samples[0].content);
  EXPECT_NE(upright.samples[2].content, stored.samples[2].content);
  // An image that is upright anyhow is the same image, so that its records are.
  EXPECT_EQ(upright.samples[1].content, stored.samples[1].content);
  EXPECT_EQ(upright.samples[0].images.at(0).orientation, ImageOrientation::kExif);
  EXPECT_EQ(check_image(upright.samples[0].images.at(0)), (ImageSize{24, 16}));
  EXPECT_EQ(check_image(stored.samples[0].images.at(0)), (ImageSize{16, 24}));
}

/// Whether a sample with this golden image has another content than before decoders had
/// revisions.
bool has_new_content(const std::string& image) {
  const Files files;
  DataOptions options = files.with("d.json", item_with(image));
  options.image_root = golden_images();
  const Sample sample = read_data(options).samples.at(0);
  return sample.content != content_of(sample, file_hash(golden_images() / image));
}

TEST(DecoderRevisions, ArePartOfTheContentOfWhatIsDecodedOtherwiseThanBefore) {
  for (const char* image : {"rgba_70x50.bmp", "cmyk_70x50.jpg"})
    EXPECT_TRUE(has_new_content(image)) << image;
  for (const char* image : {"rgba_70x50.png", "grey_70x50.jpg", "lossy_130x90.webp"})
    EXPECT_FALSE(has_new_content(image)) << image;
}

}  // namespace
}  // namespace elastikv
