// Every shipped task on a made-up file in its published layout: what the data verb shows, and a
// sweep.
#include <filesystem>
#include <map>
#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/paths.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "sweep/task.h"

namespace elastikv {
namespace {

/// Where a task's data lie, as a user names them.
std::filesystem::path data_of(const std::string& task) {
  const auto folder = std::filesystem::path(source_path("tests/unit/sweep/data/tasks")) / task;
  if (task == "gqa") return folder / "testdev_balanced_instructions";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string kind = entry.path().extension().string();
    if (kind == ".json" || kind == ".jsonl" || kind == ".tsv") return entry.path();
  }
  return folder;
}

class PublishedTasks : public testing::Test {
 protected:
  PublishedTasks() { cache_ = "image_cache=" + (folder_.path() / "images").string(); }
  ProgramResult inspect(const std::string& task) const {
    return run_elastikv({"inspect-data", data_of(task).string(), "--task", task, "--samples", "1",
                         "--set", cache_});
  }

  TemporaryFolder folder_;
  std::string cache_;
};

TEST_F(PublishedTasks, AreShownWithoutAModel) {
  for (const std::string& task : task_names()) {
    const ProgramResult result = inspect(task);
    EXPECT_EQ(result.exit_code, 0) << task << ": " << result.errors;
    EXPECT_NE(result.output.find(", 0 with a problem\n"), std::string::npos) << result.output;
    EXPECT_NE(result.output.find("\n  question    \""), std::string::npos) << result.output;
  }
}

TEST_F(PublishedTasks, AskAsTheirKitsDo) {
  // lmms-eval's prompts of its default models.
  const std::map<std::string, std::string> asked{
      {"ai2d",
       R"("What is eaten by the owl?\nA. grass\nB. shrew\nC. owl\nD. sun\nAnswer with the option's letter from the given choices directly.")"},
      {"chartqa", R"("How many bars are there?\nAnswer the question with a single word.")"},
      {"docvqa",
       R"("What is the date of the letter?\nAnswer the question using a single word or phrase.")"},
      {"gqa", R"("Is the gate open?\nAnswer the question using a single word or phrase.")"},
      // Of its models of messages, which get texts and images in turn.
      {"mmmu-val",
       R"("Which is older,<image>or<image>?\nA. the first\nB. the second's copy\n\nAnswer with the option's letter from the given choices directly.")"},
      {"coco-caption", R"("Provide a one-sentence caption for the provided image.")"}};
  for (const auto& [task, question] : asked) {
    const ProgramResult result = inspect(task);
    EXPECT_NE(result.output.find("  question    " + question + "\n"), std::string::npos)
        << result.output;
  }
  // What only MMMU's explanation names is not shown.
  const ProgramResult mmmu = inspect("mmmu-val");
  EXPECT_NE(mmmu.output.find("1 image that no marker in its question names is left out"),
            std::string::npos)
      << mmmu.output;
  // "Please answer yes or no." is taken off MME's questions.
  const ProgramResult mme = inspect("mme");
  EXPECT_EQ(mme.output.find("Please answer yes or no"), std::string::npos) << mme.output;
  EXPECT_NE(mme.output.find(R"(?\nAnswer the question using a single word or phrase.")"),
            std::string::npos)
      << mme.output;
}

TEST_F(PublishedTasks, RunInOneSweep) {
  std::string yaml = "models: {path: " + source_path("tests/parity/data/families/llava") +
                     ", label: llava, prompt_format: llava-v1-hf}\ndata:\n";
  for (const std::string& task : task_names()) {
    yaml += "  - {task: " + task + ", path: " + data_of(task).string() +
            ", image_cache: " + (folder_.path() / "images").string() + "}\n";
  }
  yaml += "strategies: [full, h2o]\nbudgets: {keep: [0.3]}\nbootstrap: {iterations: 50}\noutput: " +
          (folder_.path() / "out").string() + "\n";
  const ProgramResult result =
      run_elastikv({"sweep", folder_.write("s.yaml", yaml).string(), "--limit", "4"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const std::string tasks = read_file(folder_.path() / "out/tasks.csv");
  for (const std::string& task : task_names()) {
    const std::string own = read_task(task).data.metrics.front();
    EXPECT_NE(tasks.find("llava-fp32,h2o,0.3," + task + "," + own + ","), std::string::npos)
        << task << "\n"
        << tasks;
  }
  // MM-Vet's questions count for each of their capabilities.
  const std::string categories = read_file(folder_.path() / "out/categories.csv");
  for (const char* row : {"ocr,3,", "math,3,", "rec,1,", "spat,1,"})
    EXPECT_NE(categories.find(std::string("\nllava-fp32,mm-vet,") + row), std::string::npos) << row;
}

TEST_F(PublishedTasks, AreAnsweredByTheLikelihoodOfOptions) {
  std::string yaml = "models: {path: " + source_path("tests/parity/data/families/llava") +
                     ", label: llava, prompt_format: llava-v1-hf}\ndata:\n";
  for (const std::string task : {"scienceqa-img", "ai2d", "textvqa"}) {
    yaml += "  - {task: " + task + ", path: " + data_of(task).string() +
            (task == "textvqa" ? "" : ", answer_by: likelihood") +
            ", image_cache: " + (folder_.path() / "images").string() + "}\n";
  }
  yaml +=
      "strategies: [full, elastic, h2o]\nbudgets: {keep: [0.3]}\nbootstrap: {iterations: 50}\n"
      "output: " +
      (folder_.path() / "out").string() + "\n";
  const std::string sweep = folder_.write("s.yaml", yaml).string();
  const ProgramResult planned = run_elastikv({"plan", sweep, "--limit", "3"});
  EXPECT_EQ(planned.exit_code, 0) << planned.errors;
  const ProgramResult result = run_elastikv({"sweep", sweep, "--limit", "3"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const std::string tasks = read_file(folder_.path() / "out/tasks.csv");
  for (const char* task : {"scienceqa-img", "ai2d"}) {
    EXPECT_NE(tasks.find("llava-fp32,h2o,0.3," + std::string(task) + ",choice-likelihood,"),
              std::string::npos)
        << tasks;
  }
  std::map<std::string, std::string> answers;  // by data set and sample
  std::istringstream samples(read_file(folder_.path() / "out/samples.jsonl"));
  for (std::string line; std::getline(samples, line);) {
    const auto sample = nlohmann::json::parse(line);
    answers[sample.at("data").get<std::string>() + "/" + sample.at("id").get<std::string>()] =
        sample.at("answer").get<std::string>();
  }
  std::istringstream records(read_file(folder_.path() / "out/records.jsonl"));
  int scored = 0;
  for (std::string line; std::getline(records, line);) {
    const auto record = nlohmann::json::parse(line);
    const auto cell = record.at("cell").get<std::string>();
    if (cell.find("/textvqa/") != std::string::npos) {
      EXPECT_FALSE(record.contains("options"));
      continue;
    }
    const std::string data = cell.find("/ai2d/") == std::string::npos ? "scienceqa-img" : "ai2d";
    const std::string answer = answers.at(data + "/" + record.at("sample").get<std::string>());
    // What perplexity scores is the right option.
    for (const auto& option : record.at("options")) {
      if (option.at("letter").get<std::string>() != answer.substr(0, 1)) continue;
      EXPECT_NEAR(option.at("log_likelihood").get<double>(), -record.at("nll_sum").get<double>(),
                  1e-3)
          << line;
      EXPECT_EQ(option.at("bytes").get<size_t>(), answer.size());
      ++scored;
    }
  }
  EXPECT_EQ(scored, 2 * 3 * 3);
  const ProgramResult again = run_elastikv({"sweep", sweep, "--limit", "3", "--resume"});
  EXPECT_EQ(again.exit_code, 0) << again.errors;
  const ProgramResult refused =
      run_elastikv({"inspect-data", data_of("textvqa").string(), "--task", "textvqa", "--set",
                    "answer_by=likelihood", "--set", cache_});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.errors.find("answer_by is likelihood, which scores the options of a question, "
                                "and none of the questions has any"),
            std::string::npos)
      << refused.errors;
}

TEST_F(PublishedTasks, BadInputIsOneLine) {
  const std::string path = data_of("textvqa").string();
  const ProgramResult unknown = run_elastikv({"inspect-data", path, "--task", "textvga"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_EQ(unknown.errors,
            "error: the command line:1: key 'task' names no task: 'textvga'; did you mean "
            "'textvqa'?\n");
  const ProgramResult other = run_elastikv({"inspect-data", path, "--task", "docvqa"});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_NE(other.errors.find("columns.id is 'questionId', no column of the file; did you mean "
                              "'question_id'?"),
            std::string::npos)
      << other.errors;
}

}  // namespace
}  // namespace elastikv
