#include "sweep/task.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "base/configs.h"
#include "base/error.h"
#include "base/files.h"
#include "base/keys.h"
#include "base/nearest_name.h"
#include "base/yaml_values.h"
#include "metrics/text_metrics.h"
#include "sweep/data_choice.h"

namespace elastikv {
namespace {

std::filesystem::path tasks_folder() { return configs_folder() / "tasks"; }

/// The keys of a data entry that a task's file may set under `data`.
const std::vector<std::string>& settable() {
  static const std::vector<std::string> keys{
      "format", "columns",     "prompt_parts",  "images_from",       "split",     "turn",
      "prompt", "image_place", "image_markers", "image_orientation", "answer_by", "option_text"};
  return keys;
}

PublishedScore read_score(const YamlFields& node, const std::vector<std::string>& metrics) {
  node.require_known_keys({"model", "metric", "score", "source"});
  PublishedScore score{node.string("model"), node.string("metric"), node.number("score"),
                       node.string("source")};
  if (std::find(metrics.begin(), metrics.end(), score.metric) == metrics.end()) {
    node.at("metric").fail_here(fmt::format("is '{}', which 'metrics' does not list{}",
                                            score.metric, suggestion(score.metric, metrics)));
  }
  return score;
}

/// The mapping `data`, read as a sweep reads it: with a path, which a task has not.
DataOptions read_data_part(const YamlFields& root) {
  if (!root.has("data")) return {};
  const YamlFields data = root.at("data");
  data.require_known_keys(settable());
  DataOptions options;
  data_keys().read(data.with("path", "any"), options);
  return options;
}

}  // namespace

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  if (!is_folder(tasks_folder())) return names;
  for (const auto& entry : std::filesystem::directory_iterator(tasks_folder())) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Task read_task(const std::string& name) {
  const std::vector<std::string> known = task_names();
  if (std::find(known.begin(), known.end(), name) == known.end())
    fail("no task is called '{}'{}", name, suggestion(name, known));
  const YamlFields root = YamlFields::read(tasks_folder() / (name + ".yaml"));
  root.require_known_keys(
      {"summary", "source", "data", "question", "max_new_tokens", "stop", "metrics", "published"});
  Task task;
  task.name = name;
  task.summary = root.string("summary");
  task.source = root.string("source");
  task.data = read_data_part(root);
  if (root.has("question")) {
    const YamlFields question = root.at("question");
    question.require_known_keys({"before", "after", "after_open", "remove"});
    task.data.question_before = question.string("before", "");
    task.data.question_after = question.string("after", "");
    if (question.has("after_open")) task.data.question_after_open = question.string("after_open");
    task.data.question_remove = question.string("remove", "");
  }
  if (root.has("max_new_tokens")) {
    task.data.max_new_tokens = root.integer("max_new_tokens");
    if (*task.data.max_new_tokens < 1)
      root.at("max_new_tokens").fail_here("needs to be at least 1");
  }
  if (root.has("stop")) task.data.stop = texts_at(root.at("stop"));
  task.data.metrics = texts_at(root.at("metrics"));
  checked(root.at("metrics"), [&] { static_cast<void>(TextMetrics(task.data.metrics)); });
  if (root.has("published")) {
    for (const YamlFields& node : root.at("published").items())
      task.published.push_back(read_score(node, task.data.metrics));
  }
  return task;
}

std::string task_name_at(const YamlFields& node) {
  std::string name = node.as_string();
  const std::vector<std::string> known = task_names();
  if (std::find(known.begin(), known.end(), name) == known.end())
    node.fail_here(fmt::format("names no task: '{}'{}", name, suggestion(name, known)));
  return name;
}

void apply_task(const Task& task, const YamlFields& fields, DataOptions& data) {
  const auto take = [&](const char* key, auto member) {
    if (!fields.has(key)) data.*member = task.data.*member;
  };
  take("format", &DataOptions::format);
  take("columns", &DataOptions::columns);
  take("images_from", &DataOptions::images_from);
  take("prompt_parts", &DataOptions::parts);
  // One file is what it is: a split chooses among the files of a folder, or among rows.
  const bool by_rows = data.columns && !data.columns->split.empty();
  if (by_rows || is_folder(data.path)) take("split", &DataOptions::split);
  take("turn", &DataOptions::turn);
  take("prompt", &DataOptions::prompt);
  take("image_place", &DataOptions::image_place);
  take("image_markers", &DataOptions::image_markers);
  take("image_orientation", &DataOptions::image_orientation);
  take("question_before", &DataOptions::question_before);
  take("question_after", &DataOptions::question_after);
  take("question_after_open", &DataOptions::question_after_open);
  take("question_remove", &DataOptions::question_remove);
  take("max_new_tokens", &DataOptions::max_new_tokens);
  take("stop", &DataOptions::stop);
  take("answer_by", &DataOptions::answer_by);
  take("option_text", &DataOptions::option_text);
  // What judges texts does not judge likelihoods, nor the reverse.
  if (data.by_likelihood() == task.data.by_likelihood()) take("metrics", &DataOptions::metrics);
}

}  // namespace elastikv
