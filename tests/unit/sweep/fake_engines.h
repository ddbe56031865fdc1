#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "sweep/engine.h"

namespace elastikv {

/// What the fake engine does besides answering, and what was asked of it.
struct FakePlan {
  std::string weights = "weights-1";
  std::string strategy_version = "1";
  /// (cell, sample) pairs that fail.
  std::set<std::pair<std::string, std::string>> failing;
  std::set<std::string> failing_samples;
  /// (model label, sample) pairs that the model's context is too short for.
  std::set<std::pair<std::string, std::string>> too_long;
  /// Memory that a cell needs, by its id, otherwise 1; and what there is. Cells that run together
  /// need the sum.
  std::map<std::string, int64_t> need;
  int64_t memory = INT64_MAX;
  /// Cells that the engine plans to run together at most.
  size_t planned = SIZE_MAX;
  /// Ends the run in the middle of the n-th evaluation (from 0), as a killed process would.
  int64_t crash_at = -1;
  /// Added to every log likelihood: an engine that does not repeat itself.
  float drift = 0;
  /// Factor of all seconds.
  double slowness = 1;
  float not_a_number_for_budget = -1;
  std::function<void(const Sample&)> on_evaluate;  // before the prompt
  std::function<void()> on_run;                    // before each batch of cells
  /// What evaluating a sample, or a look at it, throws.
  std::map<std::string, std::function<void()>> throwing;
  std::map<std::string, std::function<void()>> throwing_looks;
  std::function<void()> throwing_release;
  /// Why the sweep does not fit into memory; empty: it does.
  std::string too_large;
  /// Why the model cannot be opened; empty: it can.
  std::string unopenable;
  /// Changes what a cell gave.
  std::function<void(const Sample&, const Cell&, CellOutcome&)> spoil;
  /// What one entry of a sample's importance is instead.
  std::map<std::string, float> spoiled_importance;

  /// Samples that cannot be looked at.
  std::set<std::string> unseen;

  /// What samples ask about, by their ids.
  std::map<std::string, std::string> contexts;

  std::vector<std::string> evaluated;  // sample ids, in order
  std::vector<std::string> together;   // "ID ID", in order
  std::vector<std::string> looked_at;  // likewise
  int64_t hashed = 0;                  // times that the weights were read for their hash
  std::vector<std::string> groups;     // "ID: cells", in order
  int64_t released = 0;
  int64_t opened = 0;
};

/// Stands for a process that ended without a chance to clean up.
struct Crash {};

/// Answers that depend on nothing but sample, strategy and budget: numbers from a hash, so that
/// they differ from each other and are the same in every run.
class FakeEvaluator final : public SampleEvaluator {
 public:
  FakeEvaluator(FakePlan& plan, EvaluationSettings settings) : plan_(plan), settings_(settings) {}

  void release_memory() override {
    ++plan_.released;
    if (plan_.throwing_release) plan_.throwing_release();
  }
  std::unique_ptr<SampleRun> begin(const Sample& sample, std::span<const Cell> cells) override {
    if (static_cast<int64_t>(plan_.evaluated.size()) == plan_.crash_at) throw Crash();
    plan_.evaluated.push_back(sample.id);
    if (plan_.on_evaluate) plan_.on_evaluate(sample);
    throw_if_asked(sample, plan_.throwing);
    if (plan_.failing_samples.count(sample.id) > 0) fail("{}: the image is torn", sample.id);
    return std::make_unique<Run>(*this, sample, cells);
  }

  std::vector<SampleOutcome> evaluate_together(std::span<const Sample* const> samples,
                                               std::span<const Cell> cells) override {
    std::string ids;
    for (const Sample* sample : samples) ids += (ids.empty() ? "" : " ") + sample->id;
    plan_.together.push_back(ids);
    if (static_cast<int64_t>(samples.size() * cells.size()) > plan_.memory)
      throw OutOfMemory("out of memory");
    std::vector<size_t> all(cells.size());
    std::iota(all.begin(), all.end(), size_t{0});
    std::vector<SampleOutcome> outcomes;
    for (const Sample* sample : samples) {
      const int64_t memory = std::exchange(plan_.memory, INT64_MAX);
      outcomes.push_back(begin(*sample, cells)->evaluate(all));
      plan_.memory = memory;
    }
    return outcomes;
  }

  std::optional<SampleDetail> look(const Sample& sample, std::span<const Cell> cells) override {
    plan_.looked_at.push_back(sample.id);
    if (plan_.unseen.count(sample.id) > 0) fail("{}: the image is torn\nand gone", sample.id);
    throw_if_asked(sample, plan_.throwing_looks);
    SampleDetail detail;
    detail.prompt_tokens = 40;
    detail.image_begin = 3;
    detail.image_end = 19;
    detail.grid_rows = 4;
    detail.grid_columns = 4;
    detail.thumbnail = "iVBO";
    detail.importance.assign(2, std::vector<float>(40, 0.125F));
    const auto spoiled = plan_.spoiled_importance.find(sample.id);
    if (spoiled != plan_.spoiled_importance.end()) detail.importance[1][7] = spoiled->second;
    for (const Cell& cell : cells) {
      auto& kept = detail.kept.emplace_back();
      if (!cell.is_full()) kept.assign(2, {{0, 1, static_cast<int64_t>(sample.index) + 2}});
    }
    return detail;
  }

 private:
  class Run final : public SampleRun {
   public:
    Run(FakeEvaluator& evaluator, const Sample& sample, std::span<const Cell> cells)
        : evaluator_(evaluator), sample_(sample), cells_(cells) {}

    SampleOutcome evaluate(std::span<const size_t> which) override {
      FakePlan& plan = evaluator_.plan_;
      if (plan.on_run) plan.on_run();
      const size_t count = std::min(which.size(), plan.planned);
      int64_t needed = 0;
      std::string group;
      for (const size_t i : which.first(count)) {
        const Cell& cell = cells_[i];
        const auto known = plan.need.find(cell.id);
        needed += known == plan.need.end() ? 1 : known->second;
        if (!group.empty()) group += ' ';
        group += cell.id.substr(cell.id.find('/', cell.id.find('/') + 1) + 1);
      }
      plan.groups.push_back(sample_.id + ": " + group);
      if (needed > plan.memory) throw OutOfMemory("out of memory: " + std::to_string(needed));
      SampleOutcome outcome;
      outcome.prompt_tokens = 40;
      outcome.image_tokens = 16;
      const double s = plan.slowness;
      if (!begun_) outcome.seconds = {0.5 * s, 0.25 * s, 0.125 * s};
      begun_ = true;
      outcome.seconds.scoring = 1.5 * s;
      outcome.seconds.generation = 2.5 * s;
      for (const size_t i : which.first(count))
        outcome.cells.push_back(evaluator_.one(sample_, cells_[i]));
      return outcome;
    }

   private:
    FakeEvaluator& evaluator_;
    const Sample& sample_;
    std::span<const Cell> cells_;
    bool begun_ = false;
  };

  using Throwers = std::map<std::string, std::function<void()>>;
  static void throw_if_asked(const Sample& sample, const Throwers& throwers) {
    const auto thrower = throwers.find(sample.id);
    if (thrower != throwers.end()) thrower->second();
  }

  CellOutcome one(const Sample& sample, const Cell& cell) const {
    CellOutcome result;
    if (plan_.failing.count({cell.id, sample.id}) > 0) {
      result.error = "no attention left";
      return result;
    }
    const double keep = cell.budget.keep.value_or(1.0);
    const double badness = cell.is_full() ? 0.0 : (1.0 - keep) * spread(cell.strategy.label, 0);
    for (int64_t token = 0; token < 12; ++token) {
      result.nll.push_back(
          static_cast<float>(0.1 + badness + spread(sample.id, token) * (0.2 + badness)) +
          plan_.drift);
      if (keep == static_cast<double>(plan_.not_a_number_for_budget)) {
        result.nll.back() = std::nanf("");
      }
      result.nll_sum += static_cast<double>(result.nll.back());
    }
    result.scored_tokens = static_cast<int64_t>(result.nll.size());
    for (int64_t token = 0; token < 10; ++token) {
      const bool changed = !cell.is_full() && spread(sample.id + cell.id, token) > keep;
      result.token_ids.push_back(token + (changed ? 100 : 0));
      result.text += (changed ? "other" : "word") + std::to_string(token) + " ";
    }
    choose(sample, cell, result);
    result.finished = true;
    if (!cell.is_full() && settings_.agreement) result.mean_kl = badness;
    if (plan_.spoil) plan_.spoil(sample, cell, result);
    result.requested_tokens = static_cast<int64_t>(40 * keep);
    for (int layer = 0; layer < 2; ++layer)
      result.kept_tokens.add_layer(std::vector<int64_t>(2, result.requested_tokens));
    result.entry_bytes = 256;
    result.cache_bytes_prefill = result.requested_tokens * 1024;
    result.cache_bytes_end = (result.requested_tokens + 10) * 1024;
    result.seconds = {0.01 * plan_.slowness};
    return result;
  }

  /// Of a question that is answered by likelihood: the text is the likeliest option.
  void choose(const Sample& sample, const Cell& cell, CellOutcome& result) const {
    for (size_t i = 0; i < sample.scored_options.size(); ++i) {
      const ScoredOption& option = sample.scored_options[i];
      const auto bytes = static_cast<int64_t>(option.text.size());
      const double likelihood =
          -spread(sample.id + cell.id, static_cast<int64_t>(i)) + static_cast<double>(plan_.drift);
      if (i == 0 ||
          likelihood > result.options[static_cast<size_t>(result.token_ids[0])].log_likelihood) {
        result.token_ids = {static_cast<int64_t>(i)};
        result.text = option.text;
      }
      result.options.push_back({option.letter, likelihood, /*tokens=*/2, bytes, bytes});
    }
  }

  /// In [0, 1), from the text and the number.
  static double spread(const std::string& text, int64_t number) {
    const std::string hash = content_hash(text + "#" + std::to_string(number));
    return static_cast<double>(std::stoul(hash.substr(0, 8), nullptr, 16)) / 4294967296.0;
  }

  FakePlan& plan_;
  EvaluationSettings settings_;
};

class FakeEngines final : public Engines {
 public:
  explicit FakeEngines(FakePlan& plan) : plan_(plan) {}

  void check(const ModelChoice& model, std::span<const Cell> cells,
             const EvaluationSettings&) const override {
    if (model.path == "missing") fail("{}: no such model", model.path.string());
    for (const Cell& cell : cells) {
      if (cell.strategy.preset == "elastci") {
        fail("{}: unknown strategy 'elastci'; did you mean 'elastic'?", cell.strategy.origin);
      }
    }
  }
  std::unique_ptr<Tokenizer> tokenizer(const ModelChoice& model) const override {
    return load_tokenizer(model.path);
  }
  void check_image(const std::filesystem::path&) const override {}
  SampleCheck check_samples(const ModelChoice& model, std::span<const Cell>,
                            std::span<const Sample> samples,
                            const EvaluationSettings&) const override {
    SampleCheck check;
    check.problems.resize(samples.size());
    for (size_t i = 0; i < samples.size(); ++i) {
      const auto found = plan_.too_long.find({model.label, samples[i].id});
      if (found != plan_.too_long.end())
        check.problems[i] = "sample " + samples[i].id + " is too long";
    }
    for (size_t i = 0; i < samples.size() && !plan_.contexts.empty(); ++i) {
      const auto found = plan_.contexts.find(samples[i].id);
      const bool shares = found != plan_.contexts.end() && check.problems[i].empty();
      check.contexts.push_back(shares ? found->second : "");
    }
    check.memory = plan_.too_large;
    return check;
  }
  EngineIdentity identity(const ModelChoice&) const override {
    ++plan_.hashed;
    return {plan_.weights, "tokenizer", "pictures", "prompt", "prompt:fake"};
  }
  std::string strategy_text(const StrategyChoice& strategy) const override {
    return strategy.preset + "-" + plan_.strategy_version;
  }
  std::vector<std::string> parts(const ModelChoice&, std::span<const Cell>) const override {
    return {"model/fake", "importance/attention"};
  }
  std::unique_ptr<SampleEvaluator> open(const ModelChoice&, const EvaluationSettings& settings,
                                        RunWatch) const override {
    if (!plan_.unopenable.empty()) fail("{}", plan_.unopenable);
    ++plan_.opened;
    return std::make_unique<FakeEvaluator>(plan_, settings);
  }

 private:
  FakePlan& plan_;
};

}  // namespace elastikv
