#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/paths.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

constexpr int kSamples = 24;
/// full, and four strategies with three budgets.
constexpr int kCells = 13;

/// elastikv in the background, its output thrown away.
class BackgroundRun {
 public:
  explicit BackgroundRun(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program_path());
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    child_ = fork();
    if (child_ != 0) return;
    std::freopen("/dev/null", "w", stdout);
    std::freopen("/dev/null", "w", stderr);
    execv(pointers[0], pointers.data());
    _exit(127);
  }
  ~BackgroundRun() {
    if (child_ > 0) stop_with(SIGKILL);
  }
  BackgroundRun(const BackgroundRun&) = delete;
  BackgroundRun& operator=(const BackgroundRun&) = delete;

  /// Sends a signal, waits for the end and returns the exit code as ProgramResult has it.
  int stop_with(int signal) {
    kill(child_, signal);
    int status = 0;
    waitpid(child_, &status, 0);
    child_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t child_ = -1;
};

/// A sweep over a model of random weights: small, but with every kind of randomness and state.
class Resume : public testing::Test {
 protected:
  Resume() {
    // Matrices this small gain nothing from threads, which wait for each other on a busy machine.
    setenv("OMP_NUM_THREADS", "1", /*overwrite=*/1);
    write_tiny_checkpoint(folder_, "model");
    std::string lines;
    for (int i = 0; i < kSamples; ++i) {
      nlohmann::json item{{"id", "sample-" + std::to_string(i)},
                          {"question", "What is number " + std::to_string(i) + "?"},
                          {"answer", "It is a picture of " + std::to_string(i * 7) + " stamps."}};
      item["image"] = "test_00" + std::to_string(10 + i) + ".png";
      lines += item.dump() + "\n";
    }
    const fs::path data = folder_.write("data.jsonl", lines);
    sweep_ = folder_.write("sweep.yaml",
                           "models: {path: " + (folder_.path() / "model").string() +
                               "}\ndata: {path: " + data.string() +
                               ", image_root: " + source_path("datasets/stamp-scenes/test/images") +
                               "}\n"
                               "strategies: [full, elastic, h2o, streaming-llm, random]\n"
                               "budgets: {keep: [0.1, 0.3, 0.6]}\n"
                               "generation: {max_new_tokens: 24}\n");
  }

  std::vector<std::string> arguments(const std::string& output, bool resume = false) const {
    std::vector<std::string> arguments{"sweep", sweep_.string(), "--output",
                                       (folder_.path() / output).string()};
    if (resume) arguments.emplace_back("--resume");
    return arguments;
  }
  fs::path records(const std::string& output) const {
    return folder_.path() / output / "records.jsonl";
  }
  int64_t lines_of(const std::string& output) const {
    if (!fs::exists(records(output))) return 0;
    const std::string text = read_file(records(output));
    return std::count(text.begin(), text.end(), '\n');
  }
  /// Waits until a running sweep has written at least so many records.
  void wait_for_records(const std::string& output, int64_t count) const {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(5);
    while (lines_of(output) < count && std::chrono::steady_clock::now() < give_up)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  /// All tables but those that hold times.
  std::map<std::string, std::string> tables(const std::string& output) const {
    std::map<std::string, std::string> tables;
    for (const auto& entry : fs::directory_iterator(folder_.path() / output)) {
      const std::string name = entry.path().filename().string();
      const bool table = name.ends_with(".md") || name.ends_with(".csv");
      if (table && !name.starts_with("speed.")) tables[name] = read_file(entry.path());
    }
    return tables;
  }
  /// The sweep from start to end, once for each test.
  std::map<std::string, std::string> uninterrupted() {
    const ProgramResult whole = run_elastikv(arguments("whole"));
    EXPECT_EQ(whole.exit_code, 0) << whole.errors;
    EXPECT_EQ(lines_of("whole"), kSamples * kCells);
    const auto tables = this->tables("whole");
    EXPECT_GE(tables.size(), 5U);
    EXPECT_TRUE(tables.count("report.md"));
    EXPECT_TRUE(tables.count("ppl.csv"));
    return tables;
  }
  void expect_resumed_equals(const std::string& output,
                             const std::map<std::string, std::string>& expected) {
    const ProgramResult resumed = run_elastikv(arguments(output, /*resume=*/true));
    EXPECT_EQ(resumed.exit_code, 0) << resumed.errors;
    EXPECT_EQ(lines_of(output), kSamples * kCells) << "a sample was evaluated twice";
    const auto found = tables(output);
    ASSERT_EQ(found.size(), expected.size());
    for (const auto& [name, text] : expected) {
      ASSERT_TRUE(found.count(name)) << name;
      EXPECT_EQ(found.at(name), text) << name;
    }
  }

  TemporaryFolder folder_;
  fs::path sweep_;
};

TEST_F(Resume, KilledSweepEndsInTheSameTables) {
  const auto expected = uninterrupted();
  {
    BackgroundRun run(arguments("killed"));
    wait_for_records("killed", 1);
    EXPECT_EQ(run.stop_with(SIGKILL), 128 + SIGKILL);
  }
  EXPECT_GE(lines_of("killed"), 1);
  ASSERT_LT(lines_of("killed"), kSamples * kCells) << "the sweep ended before it was killed";
  {
    // Killed a second time, in the middle of what was left.
    BackgroundRun run(arguments("killed", /*resume=*/true));
    wait_for_records("killed", kSamples * kCells / 2);
    EXPECT_EQ(run.stop_with(SIGKILL), 128 + SIGKILL);
  }
  ASSERT_LT(lines_of("killed"), kSamples * kCells) << "the sweep ended before it was killed";
  expect_resumed_equals("killed", expected);
}

TEST_F(Resume, TornLinesAreEvaluatedAgain) {
  const auto expected = uninterrupted();
  const std::string whole = read_file(records("whole"));
  // Cut inside the first record, at a line's end inside a sample, in front of the last newline, and
  // after a whole sample.
  size_t third_line = 0;
  size_t first_sample = 0;
  for (int line = 0; line < kCells; ++line) {
    if (line == 3) third_line = first_sample;
    first_sample = whole.find('\n', first_sample) + 1;
  }
  for (const size_t bytes :
       {size_t{40}, third_line, third_line + 100, first_sample, whole.size() - 1}) {
    const std::string output = "torn-" + std::to_string(bytes);
    fs::copy(folder_.path() / "whole", folder_.path() / output);
    fs::resize_file(records(output), bytes);
    for (const auto& [name, text] : expected) fs::remove(folder_.path() / output / name);
    expect_resumed_equals(output, expected);
  }
}

TEST_F(Resume, InterruptedSweepSaysSoAndContinues) {
  const auto expected = uninterrupted();
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string output = "stopped-" + std::to_string(signal);
    BackgroundRun run(arguments(output));
    wait_for_records(output, 1);
    EXPECT_EQ(run.stop_with(signal), 130);
    ASSERT_LT(lines_of(output), kSamples * kCells) << "the sweep ended before it was stopped";
    EXPECT_EQ(lines_of(output) % kCells, 0) << "samples are written whole";
    expect_resumed_equals(output, expected);
  }
}

TEST_F(Resume, FolderOfAnotherSweepIsRefusedBeforeTheModelLoads) {
  uninterrupted();
  const std::string folder = (folder_.path() / "whole").string();
  const auto refused = [&](std::vector<std::string> more, const std::string& message) {
    std::vector<std::string> command = arguments("whole", /*resume=*/true);
    command.insert(command.end(), more.begin(), more.end());
    const ProgramResult result = run_elastikv(command);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.output, "");
    EXPECT_EQ(result.errors, "error: " + folder + ": " + message + "\n");
  };
  refused({"--set", "name=another"},
          "holds the records of another sweep, 'sweep' (this one is 'another'); use another "
          "--output");
  refused({"--set", "generation.max_new_tokens=5", "--set", "budgets.keep=0.1"},
          "holds the records of sweep 'sweep' with other settings (budgets, generation); use "
          "another --output");
  const ProgramResult again = run_elastikv(arguments("whole"));
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_EQ(again.errors, "error: " + folder +
                              ": holds records of this sweep; use --resume to continue it, or "
                              "another --output\n");
}

TEST_F(Resume, RecordsHoldTheSecondsOfEveryPhase) {
  uninterrupted();
  std::ifstream file(records("whole"));
  int64_t lines = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    const nlohmann::json record = nlohmann::json::parse(line);
    const nlohmann::json& shared = record.at("shared_seconds");
    for (const char* phase : {"image", "prefill", "statistics", "scoring", "generation"})
      EXPECT_GE(shared.at(phase).get<double>(), 0) << phase;
    EXPECT_GT(shared.at("image").get<double>(), 0);
    EXPECT_GT(shared.at("prefill").get<double>(), 0);
    EXPECT_GT(shared.at("statistics").get<double>(), 0);
    EXPECT_GT(shared.at("generation").get<double>(), 0);
    const nlohmann::json& own = record.at("seconds");
    EXPECT_GE(own.at("compression").get<double>(), 0);
  }
  EXPECT_EQ(lines, kSamples * kCells);
}

}  // namespace
}  // namespace elastikv
