#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/yaml_fields.h"
#include "datasets/dataset.h"

namespace elastikv {

/// A score that was published for a task, of a model with its full cache.
struct PublishedScore {
  std::string model;
  std::string metric;
  double score = 0;  ///< as the source has it, mostly in percent
  std::string source;
};

/// A benchmark as it is run: one file of configs/tasks (docs/tasks.md).
struct Task {
  std::string name;
  std::string summary;
  std::string source;  ///< where its data come from
  /// What a data entry of the sweep gets that names the task, and does not say it itself.
  DataOptions data;
  std::vector<PublishedScore> published;
};

/// By name, in alphabetical order.
std::vector<std::string> task_names();
/// Error for a name that there is not, with the nearest that there is, and for a broken file.
Task read_task(const std::string& name);
/// The name that a node holds; Error at the node for one that there is not.
std::string task_name_at(const YamlFields& node);

/// Fills in what the task says that `fields`, from which `data` was read, does not.
void apply_task(const Task& task, const YamlFields& fields, DataOptions& data);

}  // namespace elastikv
