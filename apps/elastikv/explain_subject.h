#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/sample.h"
#include "prompt_options.h"
#include "strategies/budget.h"
#include "strategies/strategy.h"
#include "strategy_options.h"
#include "sweep/cell.h"

namespace elastikv {

/// What the command line of `explain` says.
struct ExplainOptions {
  std::string file;
  std::string sample;
  std::string model = "models/stampvlm/assembled";
  std::vector<std::string> images;
  std::string prompt;
  std::string prompt_ids;
  PromptOptions prompt_options;
  std::vector<std::string> strategies;
  std::vector<std::string> set;
  std::vector<std::string> plugins;
  BudgetOptions budget;
  MomentOptions moment;
  std::string layers;
  std::string out = "results/explain";
  std::string device = "cpu";
  std::string dtype = "fp32";
  uint64_t seed = 0;
  bool json = false;
};

struct NamedStrategy {
  std::string name;
  std::unique_ptr<Strategy> strategy;
};

/// What is explained, whether a sweep or the command line says it.
struct Subject {
  ModelChoice model;
  Budget budget = Budget::unlimited();
  std::vector<NamedStrategy> strategies;
  std::optional<Sample> sample;  // of a sweep
  std::vector<ImageFile> images;
  uint64_t seed = 0;
  /// When all of the strategies compress.
  CompressAt at = CompressAt::kPromptEnd;

  /// "MODEL, sample ID, BUDGET", and the moment where it is not the prompt's end.
  std::string title() const;
};

/// What the options name, from a sweep's file (its first model and data set, and its first budget
/// unless one is given) or the command line. Error for anything that does not fit; loads nothing.
Subject read_subject(const ExplainOptions& options);

/// The layers of --layers, such as "0,4,8-11", ascending; all of the model's when empty.
std::vector<int64_t> parse_layers(const std::string& text, int64_t layers);

}  // namespace elastikv
