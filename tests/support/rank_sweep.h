#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/paths.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"

/// A sweep for several processes: two models of random weights, questions of different lengths.
class RankSweep : public testing::Test {
 protected:
  using Tables = std::map<std::string, std::string>;

  /// So many that a fast machine has not done them all by the time a test interferes.
  static constexpr int kSamples = 80;
  static constexpr int kCells = 7;

  RankSweep() {
    setenv("OMP_NUM_THREADS", "1", /*overwrite=*/1);
    write_tiny_checkpoint(folder_, "model", /*images=*/false);
    std::filesystem::copy(folder_.path() / "model", folder_.path() / "second",
                          std::filesystem::copy_options::recursive);
    std::string lines;
    for (int i = 0; i < kSamples; ++i) {
      lines += nlohmann::json{{"id", "s" + std::to_string(i)},
                              {"question", "What is number " + std::to_string(i) + "?" +
                                               std::string(static_cast<size_t>(i % 20 * 5), '.')},
                              {"answer", "It is " + std::to_string(i * 7) + "."}}
                   .dump() +
               "\n";
    }
    folder_.write("data.jsonl", lines);
    folder_.write("sweep.yaml", "models: {path: [" + at("model") + ", " + at("second") +
                                    "]}\ndata: {path: " + at("data.jsonl") +
                                    ", name: data}\nstrategies: [full, elastic, h2o]\n"
                                    "budgets: {keep: [0.1, 0.3, 0.6]}\n"
                                    "generation: {max_new_tokens: 16}\n");
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  std::vector<std::string> command(const std::string& output,
                                   const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words{program_path(), "sweep", at("sweep.yaml"), "--output",
                                   at(output)};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  std::function<std::vector<std::string>(int64_t)> all(
      const std::string& output, const std::vector<std::string>& more = {}) const {
    return [words = command(output, more)](int64_t) { return words; };
  }
  int64_t lines_of(const std::string& output) const {
    int64_t lines = 0;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / output, none)) {
      if (!entry.path().filename().string().starts_with("records.")) continue;
      const std::string text = elastikv::read_file(entry.path());
      lines += std::count(text.begin(), text.end(), '\n');
    }
    return lines;
  }
  void wait_for_records(const std::string& output, int64_t count) const {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(3);
    while (lines_of(output) < count && std::chrono::steady_clock::now() < give_up)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  /// All tables but those that hold times.
  Tables tables(const std::string& output) const {
    Tables tables;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / output)) {
      const std::string name = entry.path().filename().string();
      const bool table = name.ends_with(".md") || name.ends_with(".csv") || name.ends_with(".tex");
      if (table && !name.starts_with("speed.")) tables[name] = elastikv::read_file(entry.path());
    }
    return tables;
  }
  Tables of_one_process(const std::vector<std::string>& more = {}) const {
    const ProgramResult whole = run_command(command("whole", more));
    EXPECT_EQ(whole.exit_code, 0) << whole.errors;
    return tables("whole");
  }
  void expect_tables(const std::string& output, const Tables& expected) const {
    const Tables found = tables(output);
    ASSERT_EQ(found.size(), expected.size()) << output;
    for (const auto& [name, text] : expected) EXPECT_EQ(found.at(name), text) << output << name;
  }

  TemporaryFolder folder_;
};
