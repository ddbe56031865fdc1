// What data and images may hold, through the verbs that read them, on small checkpoints.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "image/drawing.h"
#include "image/image.h"
#include "support/paths.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

using nlohmann::json;

const std::filesystem::path kSource(source_path());
constexpr const char* kNote =
    "1 of 1 image is stored turned or mirrored (EXIF) and read as stored, as lmms-eval does; "
    "'image_orientation: exif' turns them upright";

std::string checkpoint(const char* family) {
  return (kSource / "tests/parity/data/families" / family).string();
}

/// The small checkpoints come without a chat template.
std::string format_of(const std::string& family) {
  return family == "llava" ? "llava-v1-hf" : "plain";
}

size_t count_of(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

class DataVerbs : public testing::Test {
 protected:
  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  /// A sweep of the full cache and one strategy; `data` are the data entry's keys.
  std::string sweep(const std::string& name, const char* family, const std::string& data) const {
    return folder_
        .write(name + ".yaml", "models: {path: " + checkpoint(family) +
                                   ", label: m, prompt_format: " + format_of(family) +
                                   "}\ndata: {" + data +
                                   ", name: d}\nstrategies: [full, h2o]\nbudgets: {keep: 0.5}\n"
                                   "metrics: {text: [], agreement: false}\ndetails: {samples: 1}\n"
                                   "output: " +
                                   at(name) + "\n")
        .string();
  }
  std::map<std::string, json> records(const std::string& output) const {
    std::map<std::string, json> by_name;
    std::ifstream file(at(output) + "/records.jsonl");
    for (std::string line; std::getline(file, line);) {
      const json record = json::parse(line);
      by_name[record.at("cell").get<std::string>() + " " + record.at("sample").get<std::string>()] =
          record;
    }
    return by_name;
  }
  json likelihoods(const std::string& output) const {
    json all = json::object();
    for (const auto& [name, record] : records(output)) all[name] = record.at("nll");
    return all;
  }
  std::string item_about(const std::string& image) const {
    return json{{"id", "x"}, {"image", image}, {"question", "What?"}, {"answer", "A red kite."}}
               .dump() +
           "\n";
  }

  TemporaryFolder folder_;
};

TEST_F(DataVerbs, ATurnedImageIsReadAsStoredOrAsOneThatIsStoredUpright) {
  const std::string turned = (kSource / "tests/golden/image/turned_6.png").string();
  const ImageFile upright(turned, ImageOrientation::kExif);
  write_png(at("upright.png"), read_image(upright));
  write_png(at("as_stored.png"), read_image(turned));
  folder_.write("turned.jsonl", item_about(turned));
  folder_.write("upright.jsonl", item_about(at("upright.png")));
  folder_.write("as_stored.jsonl", item_about(at("as_stored.png")));
  const auto run = [&](const std::string& name, const std::string& data, const std::string& more) {
    return run_elastikv({"sweep", sweep(name, "llava", "path: " + at(data) + more)});
  };
  const ProgramResult stored = run("stored", "turned.jsonl", "");
  ASSERT_EQ(stored.exit_code, 0) << stored.errors;
  EXPECT_EQ(count_of(stored.errors + stored.output, kNote), 1U) << stored.errors;
  const ProgramResult exif = run("exif", "turned.jsonl", ", image_orientation: exif");
  ASSERT_EQ(exif.exit_code, 0) << exif.errors;
  EXPECT_EQ(count_of(exif.errors, "read as stored"), 0U) << exif.errors;
  ASSERT_EQ(run("same", "as_stored.jsonl", "").exit_code, 0);
  const ProgramResult plain = run("upright", "upright.jsonl", "");
  ASSERT_EQ(plain.exit_code, 0) << plain.errors;
  EXPECT_EQ(count_of(plain.errors, "EXIF"), 0U) << plain.errors;

  EXPECT_EQ(likelihoods("stored"), likelihoods("same"));
  EXPECT_EQ(likelihoods("exif"), likelihoods("upright"));
  EXPECT_NE(likelihoods("exif"), likelihoods("stored"));
  for (const auto& [name, record] : records("exif"))
    EXPECT_NE(record.at("key"), records("stored").at(name).at("key")) << name;
  // The page shows what the model saw.
  const auto detail = [&](const std::string& output) {
    std::ifstream file(at(output) + "/details.jsonl");
    std::string line;
    std::getline(file, line);
    return json::parse(line).at("thumbnail");
  };
  EXPECT_EQ(detail("exif"), detail("upright"));
  EXPECT_NE(detail("exif"), detail("stored"));

  const ProgramResult planned =
      run_elastikv({"plan", sweep("plan", "llava", "path: " + at("turned.jsonl"))});
  EXPECT_EQ(planned.exit_code, 0) << planned.errors;
  EXPECT_EQ(count_of(planned.output, kNote), 1U) << planned.output;
}

TEST_F(DataVerbs, ImagesOfTheCommandLineAreTurnedLikewise) {
  const std::string turned = (kSource / "tests/golden/image/turned_6.png").string();
  const std::string note =
      "is stored turned or mirrored (EXIF) and read as stored; "
      "--image-orientation exif turns it upright";
  const std::vector<std::string> verb{
      "inspect", checkpoint("qwen2_vl"), "--prompt", "What?", "--image", turned};
  const ProgramResult stored = run_elastikv(verb);
  ASSERT_EQ(stored.exit_code, 0) << stored.errors;
  EXPECT_NE(stored.output.find("24 x 16 pixels"), std::string::npos) << stored.output;
  EXPECT_NE(stored.errors.find(note), std::string::npos) << stored.errors;
  std::vector<std::string> upright = verb;
  upright.insert(upright.end(), {"--image-orientation", "exif"});
  const ProgramResult exif = run_elastikv(upright);
  ASSERT_EQ(exif.exit_code, 0) << exif.errors;
  EXPECT_NE(exif.output.find("16 x 24 pixels"), std::string::npos) << exif.output;
  EXPECT_EQ(exif.errors, "");
  std::vector<std::string> earlier = verb;
  earlier.insert(earlier.end(), {"--picture-orientation", "exif"});
  const ProgramResult same = run_elastikv(earlier);
  EXPECT_EQ(same.output, exif.output);
  EXPECT_EQ(same.errors,
            "--picture-orientation is now called --image-orientation; both names are taken\n");

  const auto text_of = [&](const std::vector<std::string>& more) {
    std::vector<std::string> generate{
        "generate", "--model", checkpoint("llava"), "--prompt", "What?",           "--image",
        turned,     "--json",  "--max-new-tokens",  "12",       "--prompt-format", "llava-v1-hf"};
    generate.insert(generate.end(), more.begin(), more.end());
    const ProgramResult result = run_elastikv(generate);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    EXPECT_EQ(result.errors.find(note) != std::string::npos, more.empty()) << result.errors;
    return json::parse(result.output).at("token_ids");
  };
  EXPECT_NE(text_of({}), text_of({"--image-orientation", "exif"}));
}

TEST_F(DataVerbs, AnAnswerWithAnImagesPlaceIsRefusedOrRecorded) {
  const std::string image = (kSource / "tests/golden/image/square_60x60.png").string();
  folder_.write("d.jsonl", item_about(image) + json{{"id", "y"},
                                                    {"image", image},
                                                    {"question", "What?"},
                                                    {"answer", "An <image> of a kite."}}
                                                   .dump());
  const std::string why =
      "the answer of sample 'y' holds '<image>', which this model's tokenizer reads as token ";
  const std::string data = "path: " + at("d.jsonl");
  for (const char* verb : {"sweep", "plan"}) {
    const ProgramResult refused = run_elastikv({verb, sweep("refused", "llava", data)});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_EQ(count_of(refused.errors, why), 1U) << refused.errors;
  }
  const ProgramResult recorded =
      run_elastikv({"sweep", sweep("recorded", "llava", data), "--keep-going"});
  EXPECT_EQ(recorded.exit_code, 2) << recorded.errors;
  const auto all = records("recorded");
  EXPECT_EQ(all.at("m-fp32/d/full x").at("status"), "ok");
  EXPECT_EQ(all.at("m-fp32/d/full y").at("status"), "sample");
  const ProgramResult planned =
      run_elastikv({"plan", sweep("recorded", "llava", data), "--keep-going"});
  EXPECT_EQ(planned.exit_code, 0) << planned.errors;
  EXPECT_EQ(count_of(planned.output, why), 1U) << planned.output;
  // For a model of texts it is text.
  folder_.write("t.jsonl",
                json{{"id", "z"}, {"question", "Which tag?"}, {"answer", "<image> it is."}}.dump());
  EXPECT_EQ(run_elastikv({"sweep", sweep("text", "qwen3", "path: " + at("t.jsonl"))}).exit_code, 0);
}

TEST_F(DataVerbs, WindowsBeginAsInspectShowsIt) {
  const std::string text = "It was a bright cold day in April, and the clocks were striking.";
  folder_.write("t.txt", text);
  for (const char* family : {"mistral", "qwen3"}) {
    const ProgramResult shown =
        run_elastikv({"inspect", checkpoint(family), "--prompt", text, "--prompt-format", "plain"});
    ASSERT_EQ(shown.exit_code, 0) << shown.errors;
    const std::string mark = "token ids:     ";
    std::vector<int64_t> ids;
    std::istringstream numbers(shown.output.substr(shown.output.find(mark) + mark.size()));
    for (int64_t id = 0; numbers >> id;) ids.push_back(id);
    const ProgramResult run = run_elastikv(
        {"sweep", sweep(std::string("windows-") + family, family,
                        "path: " + at("t.txt") + ", prompt_tokens: 8, answer_tokens: 6")});
    ASSERT_EQ(run.exit_code, 0) << run.errors;
    // The same prompt by its ids goes the same way as the window.
    std::string first;
    for (size_t i = 0; i < 8; ++i) first += (i > 0 ? "," : "") + std::to_string(ids.at(i));
    std::ifstream samples(at(std::string("windows-") + family) + "/samples.jsonl");
    std::string line;
    std::getline(samples, line);
    const ProgramResult decoded =
        run_elastikv({"generate", "--model", checkpoint(family), "--prompt-ids", first,
                      "--max-new-tokens", "1", "--json"});
    ASSERT_EQ(decoded.exit_code, 0) << decoded.errors;
    EXPECT_EQ(json::parse(decoded.output).at("prompt_token_ids"),
              json(std::vector<int64_t>(ids.begin(), ids.begin() + 8)));
    EXPECT_EQ(ids.at(0) == 1, std::string(family) == "mistral");
    EXPECT_EQ(json::parse(line).at("question").get<std::string>().starts_with("<s>"),
              std::string(family) == "mistral")
        << line;
  }
}

/// What a plan's table says of the longest prompt.
std::string longest_prompt(const std::string& output) {
  const size_t row = output.find("\n| m-fp32 | d |", output.find("| longest prompt |"));
  const size_t begin = output.find("| d |", row) + 5;
  return output.substr(begin, output.find('|', begin) - begin);
}

TEST_F(DataVerbs, PlanTakesTheSamplesThatSweepRecordsAsFailed) {
  const std::string image = (kSource / "tests/golden/image/square_60x60.png").string();
  folder_.write("good.jsonl", item_about(image));
  folder_.write("both.jsonl",
                item_about(image) + json{{"id", "y"},
                                         {"image", "gone.png"},
                                         {"question", "<image>\n" + std::string(90, 'x')},
                                         {"answer", "A kite."}}
                                        .dump());
  const std::string recorded = "path: " + at("both.jsonl") + ", on_problem: record";
  const ProgramResult good =
      run_elastikv({"plan", sweep("plan", "llava", "path: " + at("good.jsonl"))});
  ASSERT_EQ(good.exit_code, 0) << good.errors;
  const std::string why = "no image " + at("gone.png");
  for (const std::vector<std::string>& plan : std::vector<std::vector<std::string>>{
           {"plan", sweep("plan", "llava", recorded)},
           {"plan", sweep("going", "llava", "path: " + at("both.jsonl")), "--keep-going"}}) {
    const ProgramResult planned = run_elastikv(plan);
    EXPECT_EQ(planned.exit_code, 0) << planned.errors;
    EXPECT_EQ(longest_prompt(planned.output), longest_prompt(good.output)) << planned.output;
    EXPECT_NE(planned.output.find("Cannot be evaluated and counts in no length, memory or time: "
                                  "1 of 2 samples of d, for m-fp32.\n"),
              std::string::npos)
        << planned.output;
    EXPECT_EQ(count_of(planned.output, "Will fail: m-fp32 on d, sample y: " + why), 1U)
        << planned.output;
  }
  const ProgramResult swept = run_elastikv({"sweep", sweep("swept", "llava", recorded)});
  EXPECT_EQ(swept.exit_code, 2) << swept.errors;
  EXPECT_EQ(records("swept").at("m-fp32/d/full y").at("status"), "sample");
  // Without leave to record it, both refuse.
  for (const char* verb : {"sweep", "plan"}) {
    const ProgramResult refused =
        run_elastikv({verb, sweep("refused", "llava", "path: " + at("both.jsonl"))});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_EQ(refused.output, "");
    EXPECT_EQ(count_of(refused.errors, why), 1U) << refused.errors;
  }
}

/// The machine's rates are measured outside of the limit, which is the sweep's.
TEST_F(DataVerbs, PlanTakesALimitThatTheSweepCanDoWith) {
  folder_.write("t.jsonl", json{{"id", "z"}, {"question", "Which?"}, {"answer", "It is."}}.dump());
  const std::string file = sweep("out", "qwen3", "path: " + at("t.jsonl"));
  const ProgramResult planned = run_elastikv({"plan", file, "--memory-limit", "240MiB"});
  EXPECT_EQ(planned.exit_code, 0) << planned.errors;
  EXPECT_NE(planned.output.find("| m-fp32/d/h2o/0.5 |"), std::string::npos) << planned.output;
  EXPECT_EQ(run_elastikv({"sweep", file, "--memory-limit", "240MiB"}).exit_code, 0);
  // The program's own memory is within the limit, too.
  for (const char* verb : {"plan", "sweep"}) {
    const ProgramResult refused = run_elastikv({verb, file, "--memory-limit", "8MiB"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_NE(refused.errors.find("a memory limit of 8.0 MiB is less than the "), std::string::npos)
        << refused.errors;
    EXPECT_NE(refused.errors.find(" that the program itself takes"), std::string::npos);
  }
}

TEST_F(DataVerbs, TextsAreComparedWithEachOtherWithoutAnswers) {
  folder_.write("q.jsonl",
                json{{"id", "a"}, {"question", "Which tag?"}}.dump() + "\n" +
                    json{{"id", "b"}, {"question", "And now?"}, {"answer", nullptr}}.dump());
  const std::string file = sweep("texts", "qwen3", "path: " + at("q.jsonl"));
  std::vector<std::string> settings;
  for (const char* setting : {"metrics.perplexity=false", "metrics.text=[rougeL]",
                              "metrics.agreement=true", "generation.max_new_tokens=4"})
    settings.insert(settings.end(), {"--set", setting});
  const auto run = [&](const char* verb, const std::string& sweep_file,
                       const std::vector<std::string>& more) {
    std::vector<std::string> words{verb, sweep_file};
    words.insert(words.end(), settings.begin(), settings.end());
    words.insert(words.end(), more.begin(), more.end());
    return run_elastikv(words);
  };
  EXPECT_EQ(run("plan", file, {}).exit_code, 0);
  const ProgramResult swept = run("sweep", file, {});
  EXPECT_EQ(swept.exit_code, 0) << swept.errors;
  EXPECT_EQ(records("texts").size(), 4U);
  for (const auto& [name, record] : records("texts")) EXPECT_EQ(record.at("status"), "ok") << name;
  // Perplexity and the data set's own texts need them.
  for (const char* needing : {"metrics.perplexity=true", "metrics.reference=dataset"}) {
    const ProgramResult refused = run("plan", file, {"--set", needing});
    EXPECT_EQ(refused.exit_code, 1) << needing;
    EXPECT_NE(refused.errors.find("'answer' is missing"), std::string::npos) << refused.errors;
  }
  // An answer that nothing reads may be what the model could not take.
  const std::string image = (kSource / "tests/golden/image/square_60x60.png").string();
  folder_.write(
      "p.jsonl",
      json{
          {"id", "y"}, {"image", image}, {"question", "What?"}, {"answer", "An <image> of a kite."}}
          .dump());
  const ProgramResult unread = run("sweep", sweep("unread", "llava", "path: " + at("p.jsonl")), {});
  EXPECT_EQ(unread.exit_code, 0) << unread.errors;
}

TEST_F(DataVerbs, RowsOfATableWithoutAnImageAreTextAlone) {
  const std::string image = (kSource / "tests/golden/image/square_60x60.png").string();
  folder_.write("t.tsv", "index\timage_path\tquestion\tanswer\n1\t" + image +
                             "\tWhat is it?\tA square.\n2\t\tIs water wet?\tIt is.\n");
  const std::string data = "path: " + at("t.tsv");
  const std::string note = "d: 1 of 2 rows has no image and is asked as text alone";
  const ProgramResult both = run_elastikv({"sweep", sweep("both", "llava", data)});
  EXPECT_EQ(both.exit_code, 0) << both.errors;
  EXPECT_EQ(count_of(both.errors, note), 1U) << both.errors;
  EXPECT_EQ(records("both").at("m-fp32/d/h2o/0.5 2").at("status"), "ok");
  const ProgramResult planned = run_elastikv({"plan", sweep("both", "llava", data)});
  EXPECT_EQ(planned.exit_code, 0) << planned.errors;
  EXPECT_EQ(count_of(planned.output, note), 1U) << planned.output;
  // A model of texts cannot take the other one.
  const ProgramResult text =
      run_elastikv({"sweep", sweep("text", "qwen3", data + ", on_problem: record")});
  EXPECT_EQ(text.exit_code, 2) << text.errors;
  EXPECT_EQ(records("text").at("m-fp32/d/full 1").at("status"), "sample");
  EXPECT_EQ(records("text").at("m-fp32/d/full 2").at("status"), "ok");
  // A strategy that reads the text after an image says which sample has none.
  for (const char* verb : {"sweep", "plan"}) {
    const ProgramResult refused =
        run_elastikv({verb, sweep("strategy", "llava", data), "--set", "strategies=full,vl-cache"});
    EXPECT_EQ(refused.exit_code, 1) << verb;
    EXPECT_NE(refused.errors.find("the prompt of sample '2' has no image"), std::string::npos)
        << refused.errors;
  }
}

TEST_F(DataVerbs, RepeatedIdsAreSaidOnceAndNumberTheSamples) {
  folder_.write("t.jsonl", json{{"id", "x"}, {"question", "Which?"}, {"answer", "One."}}.dump() +
                               "\n" +
                               json{{"id", "x"}, {"question", "Who?"}, {"answer", "Two."}}.dump());
  const std::string data = "path: " + at("t.jsonl");
  const std::string note =
      "d: 1 of 2 items repeats an earlier one's id and is numbered in the file's order (the second "
      "'x' is 'x#2'); 'ids: unique' refuses them";
  const ProgramResult planned = run_elastikv({"plan", sweep("out", "qwen3", data)});
  EXPECT_EQ(planned.exit_code, 0) << planned.errors;
  EXPECT_EQ(count_of(planned.output, note), 1U) << planned.output;
  const ProgramResult swept =
      run_elastikv({"sweep", sweep("out", "qwen3", data), "--sample-id", "x#2"});
  EXPECT_EQ(swept.exit_code, 0) << swept.errors;
  EXPECT_EQ(count_of(swept.errors, note), 1U) << swept.errors;
  EXPECT_EQ(records("out").size(), 2U);
  EXPECT_EQ(records("out").at("m-fp32/d/full x#2").at("status"), "ok");
}

}  // namespace
}  // namespace elastikv
