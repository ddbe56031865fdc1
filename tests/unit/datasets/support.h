#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/dataset.h"
#include "support/paths.h"
#include "support/temporary_folder.h"

namespace elastikv {

/// The fixtures: a folder for each format.
inline std::filesystem::path fixtures() { return source_path("tests/unit/datasets/data"); }

/// A folder with two images (whose bytes nobody decodes here) and a data file.
struct Files {
  Files() {
    folder.write("images/a.png", "first picture");
    folder.write("images/b.png", "second picture");
  }
  DataOptions with(const std::string& name, std::string_view text) const {
    DataOptions options;
    options.path = folder.write(name, text);
    options.image_cache = folder.path() / "cache";
    return options;
  }
  std::string message(const std::string& name, std::string_view problem) const {
    return (folder.path() / name).string() + ": " + std::string(problem);
  }
  std::string at(const std::string& name) const { return (folder.path() / name).string(); }

  TemporaryFolder folder;
};

inline std::vector<std::string> ids(const DataSet& data) {
  std::vector<std::string> names;
  for (const Sample& sample : data.samples) names.push_back(sample.id);
  return names;
}

inline std::vector<std::string> answers(const DataSet& data) {
  std::vector<std::string> texts;
  for (const Sample& sample : data.samples) texts.push_back(sample.answer);
  return texts;
}

/// The columns of questions and answers.
inline DataColumns asked(const std::string& question, const std::string& answer) {
  DataColumns columns;
  columns.question = question;
  columns.answer = answer;
  return columns;
}

}  // namespace elastikv
