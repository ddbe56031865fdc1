#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image/image_processor.h"
#include "metrics/model_output.h"
#include "runtime/compress_at.h"
#include "sweep/layer_counts.h"
#include "text/prompt_writer.h"

namespace elastikv {

/// A checkpoint and how to run it.
struct ModelChoice {
  std::filesystem::path path;
  std::string label;  // in cell names and tables; default: the folder's name
  std::string device = "cpu";
  std::string dtype = "fp32";
  PromptSettings prompt;  // by default as the checkpoint says
  /// What becomes of the parts of an image that a square crop would cut off; the checkpoint
  /// decides when unset. Only for families that crop.
  std::optional<ImageAspectRatio> image_aspect_ratio;
  /// Whose pixels the image processor's are equal to.
  PixelBackend pixels = PixelBackend::kPil;
  /// The published config.json of a model that may not be at hand, for plans; empty for none.
  std::filesystem::path published_config;
  std::string origin;  // "file.yaml:3", for messages
};

/// A strategy as the sweep names it. The engine knows what the names mean.
struct StrategyChoice {
  std::string label;   // in cell names and tables, unique in a sweep; default: the preset's name
  std::string name;    // the label before a list of parameters made several strategies of it
  std::string preset;  // a preset of configs/strategies, or the path of one
  /// Parameters that differ from the preset: dotted key and its value as YAML text, in file order.
  std::vector<std::pair<std::string, std::string>> overrides;
  std::string origin;          // "file.yaml:9", for messages
  CompressionMoment moment{};  // when it compresses; the full cache never does
  bool says_moment = false;    // its entry says when, whatever the sweep does
};

/// What a budget is a fraction of.
enum class Growth {
  kGeneration,  // of all tokens seen so far: the cache grows while text is generated (the paper's)
  kPrompt,      // of the prompt: the cache keeps its size while text is generated
};
/// "generation" or "prompt".
std::string_view growth_name(Growth growth);

/// How much of the cache is kept. Neither set: everything (the full cache has no budget).
struct BudgetChoice {
  std::optional<double> keep;          // fraction kept, 0 < keep <= 1
  std::optional<int64_t> keep_tokens;  // entries kept per layer, >= 1; never grows
  Growth growth = Growth::kGeneration;

  bool everything() const { return !keep && !keep_tokens; }
  /// "1" (everything), "0.2", "0.2p" (fraction of the prompt), "256t" (tokens): for cell names.
  std::string text() const;
};

/// One column of the work: a strategy at a budget, for one model and data set. The evaluator sees
/// all cells of a (model, data set) pair at once.
struct Cell {
  std::string id;     // "stampvlm-fp32/detail-scenes/elastic/0.2", unique and stable
  std::string model;  // ModelChoice::label, with the dtype
  std::string data;   // the data set's name
  StrategyChoice strategy;
  BudgetChoice budget;
  /// The full cache run only as a reference because the sweep does not list it: recorded, but not
  /// shown in tables.
  bool hidden = false;

  bool is_full() const { return budget.everything(); }
  /// When its cache is compressed: a cell that keeps everything is that of any moment.
  CompressAt at() const {
    return is_full() || budget.keep == 1.0 ? CompressAt::kPromptEnd : strategy.moment.at;
  }
};

/// What samples share whose prompts are the same up to the question.
enum class ContextSharing : uint8_t {
  kNone,   // nothing
  kExact,  // what changes no number: the cache that is compressed before the question
  kAll,    // the prefill of what stands before the question, too, under any moment
};

/// What the engine has to compute for every cell.
struct EvaluationSettings {
  bool perplexity = true;
  bool score_last_token = true;  // false: the paper's released protocol
  bool score_end = false;        // the token that ends the model's turn, behind the answer, too
  bool one_pass = true;          // score in one masked pass where a strategy allows it
  bool cells_together = true;    // one prefill and one batch for all cells of a sample
  ContextSharing sharing = ContextSharing::kExact;  // of samples with one context
  bool generate = true;                             // greedy text is wanted
  bool choose = false;  // the likeliest option of the sample is, in its place
  int64_t max_new_tokens = 128;
  bool agreement = true;  // mean KL of the next-token distributions against the full cache
  uint64_t seed = 0;      // of strategies that draw at random
};

/// Seconds of the work that all cells of a sample share.
struct SharedSeconds {
  double image = 0;       // decoding, processing, vision tower, projector
  double prefill = 0;     // without the statistics' own passes
  double statistics = 0;  // what strategies asked for, beyond a plain prefill
  double scoring = 0;     // teacher forcing, all cells that ran in one batch
  double generation = 0;  // greedy decoding, or scoring options, all cells that ran in one batch
};

/// Seconds of one cell's own work; scoring and generation run as one batch of cells
/// (SharedSeconds).
struct CellSeconds {
  double compression = 0;  // deciding and compacting after the prefill
};

/// What kind of failure an error is.
enum class Failure {
  kCell,         // of this cell alone: its strategy, or a result that is no number
  kOutOfMemory,  // of this cell alone: the device's memory did not suffice
  kSample,       // of the sample, in all cells alike: its image, its prompt's length
};

/// What one cell gave for one sample: the model's output and what the cache held.
struct CellOutcome : ModelOutput {
  /// Why this cell failed for this sample; empty: it did not, and the rest holds.
  std::string error;
  Failure failure = Failure::kCell;  // with an error

  bool finished = false;  // the model ended by itself before max_new_tokens, or chose an option

  int64_t requested_tokens = 0;     // entries per layer that the budget allows after the prefill
  LayerCounts kept_tokens;          // by layer and KV head, kept after the prefill
  int64_t entry_bytes = 0;          // of one entry of one head, K and V together
  int64_t cache_bytes_prefill = 0;  // held by K and V after compression of the prefill
  int64_t cache_bytes_end = 0;      // and at the end of generation (of scoring if none)

  CellSeconds seconds;
};

/// A sample to look at: where its attention goes and which entries of its prompt the cells keep.
struct SampleDetail {
  int64_t prompt_tokens = 0;
  /// The image's tokens lie on it as a grid, row by row; 0 without an image, or with several.
  int64_t image_begin = 0;
  int64_t image_end = 0;
  int64_t grid_rows = 0;
  int64_t grid_columns = 0;
  /// What the vision tower sees of the image, a small PNG in base64; empty without one.
  std::string thumbnail;
  /// Attention received from the whole prompt, by layer: column sums, mean over query heads.
  /// [layers][prompt_tokens], non-negative; empty when the engine gives none.
  std::vector<std::vector<float>> importance;
  /// Per cell, in the order of the cells: the positions kept after the prefill, ascending,
  /// [layers][groups][kept] with one group where all KV heads keep the same; empty for the full
  /// cache, and for a cell whose compression failed. What released code keeps twice is there twice.
  std::vector<std::vector<std::vector<std::vector<int64_t>>>> kept;
};

/// What one sample gave: one outcome per cell, in the order the cells were passed.
struct SampleOutcome {
  int64_t prompt_tokens = 0;  // with the image's tokens expanded
  int64_t image_tokens = 0;   // of these, the image's
  SharedSeconds seconds;
  std::vector<CellOutcome> cells;
};

/// What only the engine knows of everything that can change a record. Each is a name that changes
/// with the content: a hash, or the text itself where that is short.
struct EngineIdentity {
  std::string weights;
  std::string tokenizer;
  std::string image_processing;  // empty for a model without images
  std::string prompt_format;     // what a question with an image becomes
  std::string prompt_signature;  // PromptWriter::signature()

  /// What sets the other apart, as in "made with ...": "other weights"; empty when nothing does.
  std::string_view difference(const EngineIdentity& other) const;
};

}  // namespace elastikv
