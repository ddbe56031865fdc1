#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "datasets/dataset.h"
#include "sweep/cell.h"

namespace elastikv {

/// What generated texts are compared with.
enum class TextReference {
  kFullCache,  // what the model itself writes with its full cache (Elastic Cache's protocol)
  kDataSet,    // the data set's answer
};

struct MetricChoice {
  bool perplexity = true;
  bool score_last_token = true;
  std::vector<std::string> text{"rouge-l-pltrdy"};  // names of text_metric_names()
  TextReference reference = TextReference::kFullCache;
  bool agreement = true;
};

struct BootstrapChoice {
  int64_t iterations = 1000;
  uint64_t seed = 12345;
};

/// A sweep as its YAML file describes it, every default filled in. All paths are relative to the
/// current directory, not to the file, so that a sweep can be copied anywhere.
struct SweepConfig {
  std::string name;                 // default: the file's stem
  std::vector<ModelChoice> models;  // one per dtype
  std::vector<DataOptions> data;    // named
  std::vector<StrategyChoice> strategies;
  std::vector<BudgetChoice> budgets;  // fractions ascending as listed, then token counts
  MetricChoice metrics;
  int64_t max_new_tokens = 128;
  BootstrapChoice bootstrap;
  /// Strategies that the others are compared with at the same budget, sample by sample; default:
  /// "elastic" where the sweep has it.
  std::vector<std::string> compare_with;
  uint64_t seed = 0;
  std::filesystem::path output;  // default: results/NAME

  EvaluationSettings evaluation() const;
  /// Every setting as JSON text with keys in a fixed order: what sweep.json keeps. It has the form
  /// of a sweep file, so parse_sweep reads it.
  std::string json() const;
  /// Content hash of the settings that can change a record. Left out are the name, the output
  /// folder, the bootstrap, what is compared and which samples are used (limit, offset,
  /// sample_ids), so that a sweep may be resumed with more samples.
  std::string records_hash() const;
};

/// Settings from the command line, which win over the file's.
struct SweepOverrides {
  /// "--set a.b=c": a dotted key (numbers index lists: models.0.dtype) and a value: YAML, or a
  /// comma list, which becomes a YAML list.
  std::vector<std::pair<std::string, std::string>> set;
  std::optional<int64_t> limit;       // of every data set
  std::optional<std::string> device;  // of every model
  std::optional<std::string> dtype;   // of every model; a comma list makes one model per dtype
  std::optional<std::filesystem::path> output;
};

/// "a.b=c" as the pair of SweepOverrides::set. Error when there is no key before a "=".
std::pair<std::string, std::string> parse_set_option(std::string_view text);

/// Reads a sweep. Error naming file, line and key for anything that is unknown, of the wrong kind
/// or out of range. Looks at no other file.
SweepConfig read_sweep(const std::filesystem::path& file, const SweepOverrides& overrides = {});
/// The same from text; `origin` stands for the file's name.
SweepConfig parse_sweep(std::string_view text, const std::string& origin,
                        const SweepOverrides& overrides = {});

/// The numbers that a range means: "0.1-0.5+0.2" is 0.1, 0.3, 0.5 (the end is included when a step
/// meets it), "64-512*2" doubles, "1-3" counts in ones. The values are rounded to the decimals that
/// the range was written with, so that 0.3 is the same 0.3 as in a list. Empty when `text` is no
/// range.
std::vector<double> expand_range(std::string_view text);

}  // namespace elastikv
