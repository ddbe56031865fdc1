#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/llama/config.h"
#include "sweep/cell.h"
#include "sweep/set_options.h"

namespace elastikv {

/// A model to time: a checkpoint folder, or random weights of a shape.
struct BenchModel {
  std::filesystem::path path;  ///< empty: random weights
  std::string shape_name;      ///< of random weights; "custom" for sizes written in the file
  LlamaConfig shape;           ///< of random weights; a checkpoint's is read from its config.json
  std::string label;           ///< in tables; default: the shape's or the folder's name
  std::string device = "cpu";
  std::string dtype = "fp32";
  std::string origin;  ///< "file.yaml:3", for messages

  bool random_weights() const { return path.empty(); }
};

/// Prompt and answer of every sequence of a batch.
struct BenchLengths {
  int64_t prompt_tokens = 0;
  int64_t new_tokens =
      0;  ///< the first of them comes from the prefill, the others from decode steps

  /// "1024+512".
  std::string text() const;
  bool operator==(const BenchLengths&) const = default;
};

/// A benchmark as its YAML file describes it, every default filled in.
struct BenchConfig {
  /// What to do with a cell that does not fit the memory.
  enum class TooLarge { kRefuse, kSkip };

  std::string name;                // default: the file's stem
  std::vector<BenchModel> models;  // one per dtype
  std::vector<int64_t> batch{1};
  bool shared_prompt = false;  ///< of the rows of a batch: one prefill, as for a sweep's cells
  std::vector<BenchLengths> lengths;
  std::vector<StrategyChoice> strategies;  // default: full
  std::vector<std::string> plugins;        // files whose components the strategies may name
  std::vector<BudgetChoice> budgets;
  int64_t runs = 5;
  int64_t warmup = 1;
  int64_t threads = 0;  ///< of the CPU; 0: as many as OpenMP's settings say
  bool graphs = true;   ///< whether a device's decode steps run as graphs (models/decode_graphs.h)
  TooLarge too_large = TooLarge::kRefuse;
  uint64_t seed = 0;
  std::filesystem::path output;  // default: none, tables go to standard output only

  /// Every setting as JSON text with keys in a fixed order; it has the form of a benchmark file.
  std::string json() const;
  /// Content hash of all settings but name, output and number of runs.
  std::string hash() const;
};

/// One line of a benchmark's tables, for one model.
struct BenchCell {
  int64_t batch = 1;
  bool shared_prompt = false;
  BenchLengths lengths;
  StrategyChoice strategy;
  BudgetChoice budget;

  /// Tokens that go through a prefill.
  int64_t prefilled_tokens() const { return (shared_prompt ? 1 : batch) * lengths.prompt_tokens; }
};

/// The cross product in the order of the tables: lengths, batch, strategy, budget. The full cache
/// has one budget.
std::vector<BenchCell> cells_of(const BenchConfig& config);

/// Settings from the command line, which win over the file's.
struct BenchOverrides {
  SetOptions set;
  std::optional<int64_t> runs;
  std::optional<std::string> device;  // of every model
  std::optional<std::string> dtype;   // of every model; a comma list makes one model per dtype
  std::optional<std::filesystem::path> output;
  std::vector<std::string> plugins;  // beside the file's
};

/// Reads a benchmark. Error naming file, line and key for anything that is unknown, of the wrong
/// kind or out of range. Looks at no other file than the table of shapes.
BenchConfig read_bench(const std::filesystem::path& file, const BenchOverrides& overrides = {});
/// The same from text; `origin` stands for the file's name.
BenchConfig parse_bench(std::string_view text, const std::string& origin,
                        const BenchOverrides& overrides = {});

}  // namespace elastikv
