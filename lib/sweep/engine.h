#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/sample.h"
#include "sweep/cell.h"
#include "text/tokenizer.h"

namespace elastikv {

/// Thrown by an evaluator that was asked to stop in the middle of a sample; nothing of that sample
/// is recorded.
class Interrupted final : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted"; }
};

/// Thrown when the device's memory does not suffice, for a prompt or for the cells that run
/// together: with fewer of them it may.
class OutOfMemory final : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Thrown by an evaluator whose device does not answer any more: after an illegal access a GPU
/// fails every call of the process. It says nothing about the sample at hand, of which nothing is
/// recorded, and nothing can be computed after it.
class DeviceLost final : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One sample after its prefill, which all of its cells share.
class SampleRun {
 public:
  virtual ~SampleRun() = default;

  /// Runs some cells, ascending indices into those that the run was begun with, as one batch: of
  /// `cells` the first ones that fit into memory, at least one; the outcome holds as many. Each
  /// cell is run once, and the full cache before what is measured against it, unless it does not
  /// fit. On the CPU the results do not depend on which cells run together. What all batches share
  /// is in the seconds of the first outcome.
  /// A failure of one cell belongs in its outcome's `error`. Throws OutOfMemory when the cells do
  /// not fit after all: what the prompt holds is kept, and fewer may be tried.
  virtual SampleOutcome evaluate(std::span<const size_t> cells) = 0;
};

/// Where the work on a sample is.
struct PhaseProgress {
  std::string_view phase;  ///< "prefill", "turns", "scoring", "generation", "options"
  std::string_view unit;   ///< of `done` and `of`: "layer", "token", "option"
  int64_t done = 0;
  int64_t of = 0;    ///< at most
  int64_t rows = 0;  ///< cells that run together; 0: what all share
};

/// What an evaluator asks and tells while it computes; each may be empty.
struct RunWatch {
  std::function<bool()> should_stop;
  std::function<void(const PhaseProgress&)> on_phase;
};

/// The door between a sweep and whatever runs the model.
class SampleEvaluator {
 public:
  virtual ~SampleEvaluator() = default;

  /// Encodes the images of a sample, runs its prefill and takes the statistics that the cells
  /// need, all of the sweep's for this model and data set, the full cache first. Sample and cells
  /// must outlive the run, of which there may be one at a time.
  /// Throws Error when the whole sample is at fault (its image, a prompt longer than the
  /// context), OutOfMemory when the prompt does not fit; here and while it runs DeviceLost when the
  /// device is broken, and Interrupted when `should_stop` became true.
  virtual std::unique_ptr<SampleRun> begin(const Sample& sample, std::span<const Cell> cells) = 0;

  /// Samples that come until end_context share their context (SampleCheck::contexts): what they
  /// have in common is computed once for them and kept that long. Changes no outcome but for its
  /// seconds.
  virtual void begin_context() {}
  virtual void end_context() {}
  /// All cells of some of these samples as one batch: an outcome of each, equal to that of the
  /// sample alone but for the seconds, which are divided evenly among the samples. None: the engine
  /// runs samples one by one. Throws as begin, whichever sample is at fault, and OutOfMemory where
  /// they do not fit together; then nothing is known of any.
  virtual std::vector<SampleOutcome> evaluate_together(std::span<const Sample* const> /*samples*/,
                                                       std::span<const Cell> /*cells*/) {
    return {};
  }

  /// A look at one sample: at the prompt of the run just before, where its cells needed all that is
  /// looked at, else a prefill of its own, so that no outcome, and no time in one, depends on
  /// whether somebody looks. Nothing for an engine that cannot tell.
  virtual std::optional<SampleDetail> look(const Sample& /*sample*/,
                                           std::span<const Cell> /*cells*/) {
    return std::nullopt;
  }

  /// Hands back memory that is kept for later, after OutOfMemory.
  virtual void release_memory() {}
};

/// What of a sample its cost follows from.
struct SampleSize {
  int64_t prompt_tokens = 0;  ///< with the images'
  int64_t answer_tokens = 0;
  int64_t patches = 0;  ///< that the vision tower computes
  /// Of the text to it; none: as the settings say.
  std::optional<int64_t> max_new_tokens = std::nullopt;
  /// Of each option that is scored; empty: a text answers.
  std::vector<int64_t> option_tokens = {};
  /// Of the prompt's tokens, those that come after the compression where it is earliest.
  int64_t late_tokens = 0;
  /// Of the tokens of all its prefills, those of a context that an earlier sample encoded and ran.
  int64_t shared_tokens = 0;

  bool by_likelihood() const { return !option_tokens.empty(); }
  /// Tokens of an option of these that the model runs to score it at most: all but the last, and
  /// the shorter ones as many as the longest, with which they run together.
  int64_t option_steps() const {
    return by_likelihood() ? *std::max_element(option_tokens.begin(), option_tokens.end()) - 1 : 0;
  }
  int64_t new_tokens(const EvaluationSettings& settings) const {
    return max_new_tokens.value_or(settings.max_new_tokens);
  }
};

/// What can be said of samples before weights load.
struct SampleCheck {
  /// By sample: why the model cannot take it; empty where it can, and for samples that have a
  /// problem already.
  std::vector<std::string> problems;
  /// Of the samples without a problem.
  std::vector<SampleSize> sizes{};
  /// By sample, what it asks about: equal for those whose prompts are the same up to where a cell's
  /// cache is compressed before the question, images included, and for the turns of a conversation.
  /// Empty where nothing is shared, of samples with a problem, or where sharing is switched off; no
  /// text at all: nowhere.
  std::vector<std::string> contexts{};
  /// Why all that is held at the same time does not fit into the device's memory, and where that is
  /// asked for; empty: it fits.
  std::string memory{};
};

/// Opens engines, and checks beforehand what can be checked without loading weights.
class Engines {
 public:
  virtual ~Engines() = default;

  /// Error when the model's folder, configuration, device or dtype, or a cell's strategy or its
  /// parameters are not usable.
  virtual void check(const ModelChoice& model, std::span<const Cell> cells,
                     const EvaluationSettings& settings) const = 0;
  /// Error when the file is no image that the program can read; reads no more of it than that
  /// needs. Called for every image of a data set before any weights are loaded.
  virtual void check_image(const std::filesystem::path& file) const = 0;
  /// The tokenizer that cuts a text into windows of this model's tokens; reads no weights.
  virtual std::unique_ptr<Tokenizer> tokenizer(const ModelChoice& model) const = 0;
  /// Says of each sample why the model cannot take its prompt: too long for its context together
  /// with what is to follow, an image for a model without eyes, or a strategy that reads what the
  /// prompt has not; and of all that it can take, whether they fit into the device's memory. Reads
  /// the tokenizer, no weights.
  virtual SampleCheck check_samples(const ModelChoice& model, std::span<const Cell> cells,
                                    std::span<const Sample> samples,
                                    const EvaluationSettings& settings) const = 0;
  /// What the records of a model come from. Reads all of its weights to hash them, once.
  virtual EngineIdentity identity(const ModelChoice& model) const = 0;
  /// The strategy with every parameter written out, in a stable form: equal text means equal
  /// behaviour.
  virtual std::string strategy_text(const StrategyChoice& strategy) const = 0;
  /// The parts of the program (base/revisions.h) that a model's results in these cells depend on.
  virtual std::vector<std::string> parts(const ModelChoice& model,
                                         std::span<const Cell> cells) const = 0;
  /// Loads the model. `should_stop` of the watch may be asked at any time and tells an evaluator to
  /// throw Interrupted.
  virtual std::unique_ptr<SampleEvaluator> open(const ModelChoice& model,
                                                const EvaluationSettings& settings,
                                                RunWatch watch) const = 0;
};

/// How an engine computes what does not depend on it.
struct EngineOptions {
  /// Whether decode steps run as graphs where the device has them (models/decode_graphs.h).
  bool graphs = true;
};

/// The engines of this program: LibTorch models with the strategies of configs/strategies.
std::unique_ptr<Engines> torch_engines(const EngineOptions& options = {});

}  // namespace elastikv
