#include "sweep/task.h"

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/configs.h"
#include "support/expect_error.h"
#include "support/paths.h"
#include "support/temporary_folder.h"
#include "sweep/config.h"
#include "sweep/plan.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;

constexpr const char* kSigns = R"(
summary: Signs in photographs
source: made up
data: {columns: {id: number, question: asked, images: photo, answer: said}, split: validation}
question: {before: "Look. ", after: "\nAnswer with a word."}
max_new_tokens: 7
stop: ["\n"]
metrics: [vqa-accuracy, exact-match-vqa]
published:
  - {model: Some 7B, metric: vqa-accuracy, score: 58.2, source: nowhere}
)";

/// Configurations of the test's own, with tasks beside the shipped strategies.
class Tasks : public testing::Test {
 protected:
  Tasks() {
    write("signs", kSigns);
    write("charts", "summary: Charts\nsource: made up\nmetrics: [relaxed-accuracy]\n");
    std::filesystem::create_directory_symlink(source_path("configs/strategies"),
                                              folder_.path() / "strategies");
    setenv("ELASTIKV_CONFIGS", folder_.path().c_str(), /*replace=*/1);
  }
  ~Tasks() override { unsetenv("ELASTIKV_CONFIGS"); }

  void write(const std::string& name, const std::string& text) {
    folder_.write("tasks/" + name + ".yaml", text);
  }
  std::string file(const std::string& name) const {
    return (folder_.path() / "tasks" / (name + ".yaml")).string();
  }
  static SweepConfig parse(const std::string& data, const std::string& tail = "") {
    return parse_sweep("models: {path: models/tiny}\ndata: " + data +
                           "\nstrategies: [full, h2o]\nbudgets: {keep: [0.2]}\n" + tail,
                       "s.yaml");
  }

  TemporaryFolder folder_;
};

TEST_F(Tasks, SayWhatADataEntryDoesNot) {
  const SweepConfig config = parse("{task: signs, path: d}");
  const DataOptions& data = config.data.at(0);
  EXPECT_EQ(data.name, "signs");
  EXPECT_EQ(data.path, "d");
  EXPECT_EQ(data.columns, (DataColumns{.question = "asked",
                                       .images = {"photo"},
                                       .options = {},
                                       .answer = "said",
                                       .id = "number",
                                       .categories = {},
                                       .context = "",
                                       .split = "",
                                       .classes = "",
                                       .max_new_tokens = ""}));
  EXPECT_EQ(data.split, "");  // the path is no folder
  EXPECT_EQ(data.question_before, "Look. ");
  EXPECT_EQ(data.question_after, "\nAnswer with a word.");
  EXPECT_EQ(data.max_new_tokens, 7);
  EXPECT_EQ(data.stop, Texts{"\n"});
  EXPECT_EQ(data.metrics, (Texts{"vqa-accuracy", "exact-match-vqa"}));
  EXPECT_EQ(config.metrics.text, (Texts{"vqa-accuracy", "exact-match-vqa", "loyalty"}));

  const DataOptions own =
      parse(
          "{task: signs, path: d, name: mine, columns: {question: q, images: i, answer: a}, stop: "
          "[], "
          "question_after: '', max_new_tokens: 3, metrics: [anls], split: test}")
          .data.at(0);
  EXPECT_EQ(own.name, "mine");
  EXPECT_EQ(own.columns->question, "q");
  EXPECT_EQ(own.stop, Texts{});
  EXPECT_EQ(own.question_before, "Look. ");
  EXPECT_EQ(own.question_after, "");
  EXPECT_EQ(own.max_new_tokens, 3);
  EXPECT_EQ(own.metrics, Texts{"anls"});
  EXPECT_EQ(own.split, "test");
}

TEST_F(Tasks, MayWriteQuestionsOfTheirColumns) {
  write("books", R"(
summary: Books
source: made up
data:
  columns: {answer: said}
  prompt_parts: {context: "Read {text}\n", question: "{asked}?", answer_prefix: "So {{}}:"}
metrics: [qa-f1]
)");
  const SweepConfig config = parse("{task: books, path: d}");
  EXPECT_EQ(config.data.at(0).parts,
            (PromptParts{
                .context = "Read {text}\n", .question = "{asked}?", .answer_prefix = "So {{}}:"}));
  EXPECT_EQ(parse_sweep(config.json(), "sweep.json").json(), config.json());
  EXPECT_ERROR(parse("{path: d, columns: {answer: a}, prompt_parts: {question: 'So {'}}"),
               "s.yaml:2: key 'data.prompt_parts.question' is not usable: has a '{' that belongs "
               "to no column's name; double it where it is meant as it is");
}

TEST_F(Tasks, AreKeptInASweepsDescription) {
  const SweepConfig config = parse("[{task: signs, path: d}, {task: charts, path: c}]");
  const SweepConfig again = parse_sweep(config.json(), "sweep.json");
  EXPECT_EQ(again.json(), config.json());
  EXPECT_EQ(again.data.at(0).question_after, "\nAnswer with a word.");
  // The name of a task changes no record; what it says does.
  SweepConfig other = config;
  other.data.at(0).task = "charts";
  EXPECT_EQ(other.records_hash(), config.records_hash());
  other.data.at(0).max_new_tokens = 8;
  EXPECT_NE(other.records_hash(), config.records_hash());
}

TEST_F(Tasks, HaveMetricsOfTheirOwnEach) {
  const SweepConfig config =
      parse("[{task: signs, path: d}, {task: charts, path: c}, {path: plain.json}]");
  EXPECT_EQ(config.metrics.text,
            (Texts{"vqa-accuracy", "exact-match-vqa", "relaxed-accuracy", "loyalty"}));
  const std::vector<CellGroup> groups = plan_cells(config);
  EXPECT_EQ(groups.at(0).metrics_of_others, (std::set<std::string>{"relaxed-accuracy"}));
  EXPECT_EQ(groups.at(1).metrics_of_others,
            (std::set<std::string>{"exact-match-vqa", "vqa-accuracy"}));
  EXPECT_EQ(groups.at(2).metrics_of_others,
            (std::set<std::string>{"exact-match-vqa", "relaxed-accuracy", "vqa-accuracy"}));
  // A sweep's own list stays as it is.
  const SweepConfig own = parse("{task: signs, path: d}", "metrics: {text: [rougeL]}\n");
  EXPECT_EQ(own.metrics.text, Texts{"rougeL"});
}

TEST_F(Tasks, SayWhereImagesStandAndLie) {
  write("figures", R"(
summary: Figures
source: made up
data:
  columns: {question: asked, images: figure, answer: said}
  images_from: {path: ../figures, id: name}
  image_markers: "[figure {n}]"
metrics: [anls]
)");
  const DataOptions data = parse("{task: figures, path: d}").data.at(0);
  EXPECT_EQ(data.images_from,
            (ImageTable{.path = "../figures", .split = "", .id = "name", .image = "image"}));
  EXPECT_EQ(data.image_markers, "[figure {n}]");
  const DataOptions own =
      parse("{task: figures, path: d, images_from: {path: e}, image_markers: '<{n}>'}").data.at(0);
  EXPECT_EQ(own.images_from, (ImageTable{.path = "e", .split = "", .id = "id", .image = "image"}));
  EXPECT_EQ(own.image_markers, "<{n}>");
}

TEST_F(Tasks, BadOnesAreNamed) {
  EXPECT_ERROR(parse("{task: sings, path: d}"),
               "s.yaml:2: key 'data.task' names no task: 'sings'; did you mean 'signs'?");
  const auto of = [&](const std::string& text) {
    write("bad", text);
    read_task("bad");
  };
  const std::string head = "summary: x\nsource: y\n";
  EXPECT_ERROR(of(head + "metrics: [vqa-acuracy]\n"),
               file("bad") +
                   ":3: key 'metrics' is not usable: metric 'vqa-acuracy' is not known; did you "
                   "mean 'vqa-accuracy'?");
  EXPECT_ERROR(of(head), file("bad") + ":1: key 'metrics' is missing");
  EXPECT_ERROR(of(head + "metrics: [anls]\ndata: {limit: 3}\n"),
               file("bad") +
                   ":4: unknown key 'data.limit'; known: format, columns, prompt_parts, "
                   "images_from, split, turn, prompt, image_place, image_markers, "
                   "image_orientation, answer_by, option_text");
  EXPECT_ERROR(of(head + "metrics: [anls]\nmax_new_tokens: 0\n"),
               file("bad") + ":4: key 'max_new_tokens' needs to be at least 1");
  EXPECT_ERROR(of(head + "metrics: [anls]\npublished: [{model: a, metric: anlz, score: 1, source: "
                         "b}]\n"),
               file("bad") +
                   ":4: key 'published[0].metric' is 'anlz', which 'metrics' does not "
                   "list; did you mean 'anls'?");
}

TEST_F(Tasks, WindowsOfTokensHavePerplexitiesByWordsAndBytes) {
  const std::string windows = "{path: t.txt, prompt_tokens: 8, answer_tokens: 8}";
  const SweepConfig config = parse("[" + windows + ", {path: q.json}]", "metrics: {text: []}\n");
  EXPECT_TRUE(config.metrics.windows);
  const std::vector<CellGroup> groups = plan_cells(config);
  EXPECT_EQ(groups.at(0).metrics_of_others, std::set<std::string>{});
  EXPECT_EQ(groups.at(1).metrics_of_others, (std::set<std::string>{"byte_ppl", "word_ppl"}));
  EXPECT_FALSE(parse("{path: q.json}").metrics.windows);
}

TEST(ShippedTasks, AreRead) {
  const std::vector<std::string> names = task_names();
  EXPECT_GE(names.size(), 70U);
  for (const std::string& name : names) {
    const Task task = read_task(name);
    EXPECT_FALSE(task.summary.empty()) << name;
    EXPECT_FALSE(task.data.metrics.empty()) << name;
    EXPECT_TRUE(task.data.max_new_tokens.has_value()) << name;
  }
}

}  // namespace
}  // namespace elastikv
