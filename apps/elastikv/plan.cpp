#include "sweep/plan.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/device.h"
#include "base/error.h"
#include "base/files.h"
#include "models/quantization.h"
#include "models/registry.h"
#include "report/table.h"
#include "runtime/machine.h"
#include "sweep/choices.h"
#include "sweep/engine.h"
#include "sweep/estimate.h"
#include "sweep/progress.h"
#include "sweep/sweep_data.h"
#include "sweep_options.h"
#include "verbs.h"

namespace elastikv {
namespace {

/// A model or a data set that a sweep of published sizes can be planned without.
bool is_there(const ModelChoice& model) {
  return model.published_config.empty() || path_exists(model.path / "config.json");
}
/// A folder may have everything but the weights, which a plan does not read.
bool has_weights(const ModelChoice& model) {
  const auto names = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                      "pytorch_model.bin.index.json"};
  return std::any_of(names.begin(), names.end(),
                     [&](const char* name) { return path_exists(model.path / name); });
}
bool is_there(const DataOptions& data) { return !data.expected || path_exists(data.path); }

/// What the groups of a sweep work on, found out once for each model and data set.
class Subjects {
 public:
  Subjects(const SweepConfig& config, const Engines& engines)
      : config_(config), engines_(engines) {}

  ModelSize model_size(const ModelChoice& model, int64_t available) {
    ModelSize size;
    if (is_there(model)) {
      size.decoder = summarize_model(model.path).decoder;
      size.parameters = count_parameters(model.path);
    } else {
      const PublishedModel published = read_published_model(model.published_config);
      size.decoder = published.summary.decoder;
      size.parameters = published.parameters;
    }
    size.linear_memory =
        choose_linear_memory(size.decoder, parse_dtype(model.dtype), parse_device(model.device),
                             size.parameters, available);
    return size;
  }

  /// The samples' number and texts; `sizes` of those whose lengths have to be guessed all alike.
  struct Work {
    GroupCost cost;
    std::vector<SampleSize> sizes;
  };
  Work work_of(const CellGroup& group) {
    Work work;
    if (is_there(group.data)) {
      const DataSet& set = data_of(group);
      work.cost = cost_of(group, set, config_);
      if (is_there(group.model)) {
        const PromptReader reader = make_reader(group.model);
        for (const Sample& sample : set.samples) {
          try {
            work.sizes.push_back(size_of(reader, sample, config_.evaluation()));
          } catch (const Error&) {
            // One that will be recorded as failed is named among those.
            if (group.data.on_problem == OnProblem::kRefuse) throw;
          }
        }
        return work;
      }
      const int64_t end = config_.metrics.score_end ? 1 : 0;
      // About four bytes of English make a token.
      for (const Sample& sample : set.samples) {
        work.sizes.push_back(
            with_pictures(group.model,
                          {static_cast<int64_t>(sample.question.size()) / 4 + 40,
                           static_cast<int64_t>(sample.answer.size()) / 4 + 1 + end, 0},
                          static_cast<int64_t>(sample.images.size())));
      }
      return work;
    }
    const ExpectedData& expected = *group.data.expected;
    DataSet set;
    set.samples.resize(static_cast<size_t>(
        std::min(expected.samples, group.data.limit.value_or(expected.samples))));
    work.cost = cost_of(group, set, config_);
    work.cost.answer_characters =
        4 * expected.answer_tokens * static_cast<int64_t>(set.samples.size());
    work.sizes.assign(
        set.samples.size(),
        with_pictures(group.model,
                      {expected.question_tokens,
                       expected.answer_tokens + (config_.metrics.score_end ? 1 : 0), 0},
                      1));
    return work;
  }

  const DataSet& data_of(const CellGroup& group) {
    auto [entry, is_new] =
        sets_.try_emplace({group.data.name, group.data.tokens ? group.model.path.string() : ""});
    if (is_new) {
      const std::unique_ptr<Tokenizer> tokenizer =
          group.data.tokens ? engines_.tokenizer(group.model) : nullptr;
      entry->second = read_data(
          group.data, [&](const std::filesystem::path& file) { engines_.check_picture(file); },
          tokenizer.get());
    }
    return entry->second;
  }

  /// What is to be known of the data that were read, with the data set's name.
  std::set<std::string> notes() const {
    std::set<std::string> notes;
    for (const auto& [key, set] : sets_) {
      for (const std::string& note : set.notes)
        notes.insert(fmt::format("{}: {}", key.first, note));
    }
    return notes;
  }

 private:
  /// Adds what pictures take in a model whose tower takes one size.
  static SampleSize with_pictures(const ModelChoice& model, SampleSize size, int64_t pictures) {
    if (model.published_config.empty()) return size;
    const PublishedModel published = read_published_model(model.published_config);
    size.prompt_tokens += pictures * published.image_tokens;
    size.patches += pictures * published.image_patches;
    return size;
  }

  const SweepConfig& config_;
  const Engines& engines_;
  std::map<std::pair<std::string, std::string>, DataSet> sets_;
};

/// Memory to plan with: what the device has left, or no limit for one that is not there.
int64_t memory_of(c10::Device device) {
  try {
    require_available(device);
  } catch (const Error&) {
    return INT64_MAX;
  }
  return available_bytes(device);
}

int plan(const SweepOptions& options) {
  SweepConfig config = options.read();
  const std::unique_ptr<MemoryLimit> limit = options.limit_memory();
  const std::unique_ptr<Engines> engines = torch_engines();
  std::vector<std::string> left_out;
  if (!options.sample_ids.empty()) {
    SampleChoice choice = choose_samples(config, options.sample_ids, *engines);
    config = std::move(choice.config);
    left_out = std::move(choice.left_out);
  }
  const std::vector<CellGroup> groups = plan_cells(config);
  std::set<std::string> missing;
  std::vector<std::string> failing;  // samples that will be recorded as failed
  bool complete = true;
  for (const CellGroup& group : groups) {
    if (!is_there(group.model))
      missing.insert(fmt::format("checkpoint {}", group.model.path.string()));
    if (is_there(group.model)) require_unquantized(group.model.path);
    if (!is_there(group.data)) missing.insert(fmt::format("data set {}", group.data.path.string()));
    // Of a published model; any other is held to be what the sweep will find.
    const bool waits_for_weights =
        !group.model.published_config.empty() && is_there(group.model) && !has_weights(group.model);
    if (waits_for_weights) missing.insert(fmt::format("weights in {}", group.model.path.string()));
    complete = complete && missing.empty();
    if (is_there(group.model) && !waits_for_weights)
      engines->check(group.model, group.cells, config.evaluation());
  }
  if (complete) {
    const SweepData data(config, *engines);
    for (const CellGroup& group : groups) {
      const DataSet& set = data.of(group);
      const std::vector<std::string> problems =
          problems_of(group, set, config.evaluation(), *engines);
      for (size_t i = 0; i < problems.size(); ++i) {
        if (problems[i].empty()) continue;
        failing.push_back(fmt::format("{} on {}, sample {}: {}", group.model_name, group.data.name,
                                      set.samples[i].id, problems[i]));
      }
    }
  }

  Table cells;
  cells.header = {"cell", "strategy", "budget", "samples"};
  Table costs;
  costs.header = {"model",
                  "data set",
                  "samples",
                  "cells",
                  "prefills",
                  "evaluations",
                  "new tokens, at most",
                  "answer characters per cell"};
  Table needs;
  needs.header = {"model",  "data set",    "longest prompt", "weights",
                  "caches", "activations", "memory",         "time"};
  Subjects subjects(config, *engines);
  std::map<std::pair<std::string, std::string>, MachineRates> rates;
  GroupCost total;
  double seconds = 0;
  int64_t shown = 0;
  std::set<std::string> tight;
  for (const CellGroup& group : groups) {
    const Subjects::Work work = subjects.work_of(group);
    const GroupCost& cost = work.cost;
    for (const Cell& cell : group.cells) {
      cells.rows.push_back({cell.id, cell.strategy.preset,
                            cell.hidden ? "reference only" : cell.budget.text(),
                            std::to_string(cost.samples)});
    }
    costs.rows.push_back({group.model_name, group.data.name, std::to_string(cost.samples),
                          std::to_string(group.cells.size()), std::to_string(cost.prefills),
                          std::to_string(cost.evaluations), std::to_string(cost.decoded_tokens),
                          std::to_string(cost.answer_characters)});
    const c10::Device device = parse_device(group.model.device);
    const auto [rate, is_new] = rates.try_emplace({group.model.device, group.model.dtype});
    if (is_new) {
      const auto rows = static_cast<int64_t>(group.cells.size());
      rate->second = rates_of(device, parse_dtype(group.model.dtype),
                              config.evaluation().cells_together ? rows : 1);
    }
    const int64_t available = memory_of(device);
    const GroupEstimate need =
        estimate(group, config.evaluation(), subjects.model_size(group.model, available),
                 work.sizes, &rate->second);
    needs.rows.push_back({group.model_name, group.data.name, std::to_string(need.longest_prompt),
                          bytes_text(need.memory.weights), bytes_text(need.memory.caches),
                          bytes_text(need.memory.activations), bytes_text(need.memory.total()),
                          duration_text(need.seconds)});
    const std::string problem = refusal(need.memory, available);
    if (!problem.empty())
      tight.insert(fmt::format("{} on {} {}", group.model_name, group.model.device, problem));
    seconds += need.seconds;
    shown += group.shown_cells();
    total.samples += cost.samples;
    total.evaluations += cost.evaluations;
    total.prefills += cost.prefills;
    total.decoded_tokens += cost.decoded_tokens;
  }
  fmt::print("{}\n{}\n{}\n", cells.markdown(/*left_columns=*/3), costs.markdown(/*left_columns=*/2),
             needs.markdown(/*left_columns=*/2));
  fmt::print(
      "Sweep '{}': {} cells in tables, {} evaluations of {} samples with {} prefills, at most {} "
      "new tokens; output in {}.\n",
      config.name, shown, total.evaluations, total.samples, total.prefills, total.decoded_tokens,
      config.output.string());
  std::set<std::string> sources;
  for (const auto& [key, rate] : rates) {
    sources.insert(fmt::format("{:.3g} TFLOP/s in {} and {:.0f} GB/s, {}",
                               rate.operations_per_second / 1e12, key.second,
                               rate.bytes_per_second / 1e9, rate.source));
  }
  fmt::print("About {} at {}; less where texts end before their last token.\n",
             duration_text(seconds), fmt::join(sources, "; "));
  if (!config.exclude.empty()) {
    SweepConfig everything = config;
    everything.exclude.clear();
    int64_t all = 0;
    for (const CellGroup& group : plan_cells(everything)) all += group.shown_cells();
    fmt::print("Excluded: {} of {} cells.\n", all - shown, all);
  }
  for (const std::string& name : left_out)
    fmt::print("Data set {} is left out: it has none of the samples.\n", name);
  for (const std::string& note : subjects.notes()) fmt::print("Data set {}.\n", note);
  for (const std::string& line : failing) fmt::print("Will fail: {}.\n", line);
  for (const std::string& line : tight) fmt::print("Does not fit: {}.\n", line);
  for (const std::string& thing : missing)
    fmt::print("Not at hand, planned by published sizes: {}.\n", thing);
  return 0;
}

}  // namespace

void add_plan_verb(CLI::App& app, Verb& chosen) {
  const auto options = std::make_shared<SweepOptions>();
  CLI::App* verb = app.add_subcommand(
      "plan",
      "Show the cells of a sweep, the memory and about the time they take; loads no weights and "
      "writes nothing.");
  add_sweep_options(*verb, options);
  verb->callback([options, &chosen] { chosen = [options] { return plan(*options); }; });
}

}  // namespace elastikv
