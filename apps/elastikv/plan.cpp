#include "sweep/plan.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/device.h"
#include "base/error.h"
#include "base/files.h"
#include "examples.h"
#include "models/quantization.h"
#include "models/registry.h"
#include "report/table.h"
#include "runtime/loading.h"
#include "runtime/machine.h"
#include "sweep/choices.h"
#include "sweep/engine.h"
#include "sweep/estimate.h"
#include "sweep/preparation.h"
#include "sweep/progress.h"
#include "sweep/rank_plan.h"
#include "sweep/sweep_data.h"
#include "sweep/trial.h"
#include "sweep_options.h"
#include "usage_error.h"
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

Preparation::Missing look_for(const CellGroup& group) {
  Preparation::Missing missing;
  missing.model = !is_there(group.model);
  missing.data = !is_there(group.data);
  if (!missing.model) require_unquantized(group.model.path);
  // Of a published model; any other is held to be what the sweep will find.
  missing.weights =
      !missing.model && !group.model.published_config.empty() && !has_weights(group.model);
  return missing;
}

ModelSize size_of_model(const ModelChoice& model) {
  ModelSize size;
  if (is_there(model)) {
    size.decoder = summarize_model(model.path).decoder;
    size.parameters = count_parameters(model.path);
    size.held = held_dtype(model.path, parse_device(model.device), parse_dtype(model.dtype));
  } else {
    const PublishedModel published = read_published_model(model.published_config);
    size.decoder = published.summary.decoder;
    size.parameters = published.parameters;
  }
  return size;
}

/// Adds what images take in a model whose tower takes one size.
SampleSize with_images(const ModelChoice& model, SampleSize size, int64_t images) {
  if (model.published_config.empty()) return size;
  const PublishedModel published = read_published_model(model.published_config);
  size.prompt_tokens += images * published.image_tokens;
  size.patches += images * published.image_patches;
  return size;
}

/// What a plan by published sizes leaves out of prompts, as the end of a sentence.
std::string uncounted(const ModelChoice& model) {
  const PublishedModel published = read_published_model(model.published_config);
  if (!published.images_vary) return "";
  return fmt::format("; of each image {} tokens are counted, though larger ones become more",
                     published.image_tokens);
}

/// Options of a question that is not at hand, as multiple choices mostly have.
constexpr size_t kExpectedOptions = 4;

/// Tokens of a text: about four bytes of English make one.
int64_t tokens_in(const std::string& text) { return std::ssize(text) / 4 + 1; }

/// The samples' number and texts; `sizes` of those whose lengths have to be guessed all alike, and
/// none of samples that cannot be evaluated.
struct Work {
  GroupCost cost;
  std::vector<SampleSize> sizes;
};

Work work_of(const PreparedGroup& prepared, const SweepConfig& config) {
  const CellGroup& group = prepared.group;
  const EvaluationSettings settings = config.evaluation();
  const int64_t end = settings.score_end ? 1 : 0;
  Work work;
  if (prepared.set == nullptr) {
    const ExpectedData& expected = *group.data.expected;
    DataSet set;
    set.samples.resize(static_cast<size_t>(
        std::min(expected.samples, group.data.limit.value_or(expected.samples))));
    work.cost = cost_of(group, set, /*problems=*/{}, config);
    if (settings.perplexity)
      work.cost.answer_characters = 4 * expected.answer_tokens * std::ssize(set.samples);
    SampleSize size{expected.question_tokens, expected.answer_tokens + end};
    if (group.data.by_likelihood())
      size.option_tokens.assign(kExpectedOptions, expected.answer_tokens);
    work.sizes.assign(set.samples.size(), with_images(group.model, size, /*images=*/1));
    return work;
  }
  work.cost = cost_of(group, *prepared.set, prepared.problems, config, prepared.contexts);
  if (is_there(group.model)) {
    work.sizes = prepared.sizes;
    return work;
  }
  for (size_t i = 0; i < prepared.problems.size(); ++i) {
    if (!prepared.problems[i].empty()) continue;
    const Sample& sample = prepared.set->samples[i];
    SampleSize size{std::ssize(sample.question) / 4 + 40, tokens_in(sample.answer) + end};
    for (const ScoredOption& option : sample.scored_options)
      size.option_tokens.push_back(tokens_in(option.text));
    work.sizes.push_back(with_images(group.model, size, std::ssize(sample.images)));
  }
  return work;
}

/// Memory to plan with: what the device has left, on the CPU no more than a limit leaves, or no
/// limit for one that is not there.
int64_t memory_of(c10::Device device, int64_t within_limit) {
  if (!is_available(device)) return INT64_MAX;
  const int64_t available = available_bytes(device);
  return device.is_cpu() ? std::min(available, within_limit) : available;
}

/// How long the samples of groups take, and how that is known.
class Durations {
 public:
  std::vector<double> of(const CellGroup& group, const EvaluationSettings& settings,
                         const ModelSize& size, std::span<const SampleSize> samples,
                         int64_t available) {
    std::vector<double> seconds;
    if (samples.empty()) return seconds;
    const c10::Device device = parse_device(group.model.device);
    if (const auto trial = run_trial(group, settings, size, samples, available)) {
      sources_.insert(fmt::format("{} of {}'s {} layers were tried on {}", trial->layers,
                                  group.model_name, size.decoder.layers, processor_name(device)));
      for (const SampleSize& sample : samples)
        seconds.push_back(seconds_of(*trial, group, settings, size, {&sample, 1}));
      return seconds;
    }
    const auto [rate, is_new] = rates_.try_emplace({group.model.device, group.model.dtype});
    if (is_new) rate->second = rates_of(device, parse_dtype(group.model.dtype));
    sources_.insert(fmt::format("{:.3g} TFLOP/s in {} and {:.0f} GB/s, {}",
                                rate->second.operations_per_second / 1e12, group.model.dtype,
                                rate->second.bytes_per_second / 1e9, rate->second.source));
    for (const SampleSize& sample : samples)
      seconds.push_back(seconds_of(rate->second, group, settings, size, {&sample, 1}));
    return seconds;
  }

  /// " (8 of llava's 32 layers were tried on ...)"; empty where nothing was asked.
  std::string sources() const {
    return sources_.empty() ? "" : fmt::format(" ({})", fmt::join(sources_, "; "));
  }

 private:
  std::map<std::pair<std::string, std::string>, MachineRates> rates_;  // by device and dtype
  std::set<std::string> sources_;
};

/// What several ranks make of it: what each holds, and how long they take.
void print_ranks(std::span<const PlannedUnit> units, int64_t memory, int64_t ranks) {
  std::vector<std::string> times;
  for (const int64_t count : std::set<int64_t>{1, ranks, 64}) {
    times.push_back(fmt::format("{} with {} rank{}", duration_text(planned_seconds(units, count)),
                                count, count == 1 ? "" : "s"));
  }
  fmt::print(
      "Ranks: {} units, each a sample of one model and data set; a rank holds one model at a time, "
      "up to {}. About {}, each with a device of its own.\n",
      units.size(), bytes_text(memory), fmt::join(times, ", "));
}

struct PlanOptions {
  std::shared_ptr<SweepOptions> common = std::make_shared<SweepOptions>();
  std::optional<int64_t> ranks;
};

int plan(const PlanOptions& chosen) {
  if (chosen.ranks && *chosen.ranks < 1)
    fail("--ranks is {}, needs to be at least 1", *chosen.ranks);
  const SweepOptions& options = *chosen.common;
  const SweepConfig whole = options.read();
  std::unique_ptr<MemoryLimit> limit = options.limit_memory();
  const std::unique_ptr<Engines> engines = torch_engines();
  std::set<std::string> missing;
  const Preparation preparation(whole, options.sample_ids, *engines, [&](const CellGroup& group) {
    const Preparation::Missing found = look_for(group);
    const std::string folder = group.model.path.string();
    if (found.model) missing.insert(fmt::format("checkpoint {}{}", folder, uncounted(group.model)));
    if (found.data) missing.insert(fmt::format("data set {}", group.data.path.string()));
    if (found.weights) missing.insert(fmt::format("weights in {}", folder));
    return found;
  });
  const SweepConfig& config = preparation.config();
  // It is the sweep's. To measure what the machine does takes more than a small one leaves.
  const int64_t within_limit = MemoryLimit::left();
  limit.reset();

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
  Durations durations;
  GroupCost total;
  double seconds = 0;
  std::map<std::string, size_t> models;
  std::vector<PlannedUnit> units;
  int64_t rank_memory = 0;
  int64_t shown = 0;
  std::vector<std::string> failing;   // samples that will be recorded as failed
  std::vector<std::string> left_out;  // how many of a group
  std::vector<std::string> contexts;  // that samples share
  std::set<std::string> tight;
  std::set<std::string> parted;
  std::string refused;  // what the sweep would say of memory
  for (const PreparedGroup& prepared : preparation.prepared()) {
    const CellGroup& group = prepared.group;
    for (size_t i = 0; i < prepared.problems.size(); ++i) {
      if (prepared.problems[i].empty()) continue;
      failing.push_back(fmt::format("{} on {}, sample {}: {}", group.model_name, group.data.name,
                                    prepared.set->samples[i].id, prepared.problems[i]));
    }
    if (const int64_t unusable = std::ssize(prepared.problems) - prepared.usable(); unusable > 0) {
      left_out.push_back(fmt::format("{} of {} samples of {}, for {}", unusable,
                                     prepared.problems.size(), group.data.name, group.model_name));
    }
    const Work work = work_of(prepared, config);
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
    const int64_t available = memory_of(device, within_limit);
    const ModelSize size = size_of_model(group.model);
    const GroupEstimate need = estimate(group, config.evaluation(), size, work.sizes);
    const std::vector<double> unit_seconds =
        durations.of(group, config.evaluation(), size, work.sizes, available);
    const double group_seconds = std::accumulate(unit_seconds.begin(), unit_seconds.end(), 0.0);
    const size_t model = models.try_emplace(group.model_name, models.size()).first->second;
    for (const double one : unit_seconds) units.push_back({model, one});
    rank_memory = std::max(rank_memory, need.memory.total());
    needs.rows.push_back({group.model_name, group.data.name, std::to_string(need.longest_prompt),
                          bytes_text(need.memory.weights), bytes_text(need.memory.caches),
                          bytes_text(need.memory.activations), bytes_text(need.memory.total()),
                          duration_text(group_seconds)});
    if (need.memory.total() > available) {
      EvaluationSettings apart = config.evaluation();
      apart.cells_together = false;
      const std::string problem =
          refusal(estimate(group, apart, size, work.sizes).memory, available);
      if (problem.empty()) {
        parted.insert(fmt::format(
            "of {} on {}, {} are available: the cells of a sample run in {} batches after one "
            "prefill",
            group.model_name, group.model.device, bytes_text(available),
            batches_of(group, config.evaluation(), size, work.sizes, available)));
      } else {
        tight.insert(
            fmt::format("{} on {} {}; it {}", group.model_name, group.model.device, problem,
                        what_would_fit(group, config.evaluation(), size, work.sizes, available)));
      }
    }
    if (refused.empty()) refused = prepared.memory;
    seconds += group_seconds;
    shown += group.shown_cells();
    total.samples += cost.samples;
    total.evaluations += cost.evaluations;
    total.prefills += cost.prefills;
    total.decoded_tokens += cost.decoded_tokens;
    if (cost.contexts > 0) {
      contexts.push_back(fmt::format("{} samples of {} ask {} about {} context{}", cost.asking,
                                     group.data.name, group.model_name, cost.contexts,
                                     cost.contexts == 1 ? "" : "s"));
    }
  }
  fmt::print("{}\n{}\n{}\n", cells.markdown(/*left_columns=*/3), costs.markdown(/*left_columns=*/2),
             needs.markdown(/*left_columns=*/2));
  fmt::print(
      "Sweep '{}': {} cells in tables, {} evaluations of {} samples with {} prefills, at most {} "
      "new tokens; output in {}.\n",
      config.name, shown, total.evaluations, total.samples, total.prefills, total.decoded_tokens,
      config.output.string());
  for (const std::string& line : contexts)
    fmt::print("{}, each encoded, prefilled and compressed once before the questions.\n", line);
  fmt::print("About {}{}; less where texts end before their last token. Loading comes on top.\n",
             duration_text(seconds), durations.sources());
  if (chosen.ranks) print_ranks(units, rank_memory, *chosen.ranks);
  if (!config.exclude.empty()) {
    SweepConfig everything = config;
    everything.exclude.clear();
    int64_t all = 0;
    for (const CellGroup& group : plan_cells(everything)) all += group.shown_cells();
    fmt::print("Excluded: {} of {} cells.\n", all - shown, all);
  }
  if (preparation.choice()) {
    for (const std::string& name : preparation.choice()->left_out)
      fmt::print("Data set {} is left out: it has none of the samples.\n", name);
  }
  for (const std::string& note : preparation.data().notes()) fmt::print("Data set {}.\n", note);
  for (const std::string& line : left_out)
    fmt::print("Cannot be evaluated and counts in no length, memory or time: {}.\n", line);
  for (const std::string& line : failing) fmt::print("Will fail: {}.\n", line);
  for (const std::string& line : parted) fmt::print("Not all at once: {}.\n", line);
  for (const std::string& line : tight) fmt::print("Does not fit: {}.\n", line);
  for (const std::string& thing : missing)
    fmt::print("Not at hand, planned by published sizes: {}.\n", thing);
  std::fflush(stdout);
  // As `sweep` would say it; without all that is needed it could not begin anyway.
  if (missing.empty() && !refused.empty()) fail("{}", refused);
  return 0;
}

}  // namespace

void add_plan_verb(CLI::App& app, Verb& chosen) {
  const auto options = std::make_shared<PlanOptions>();
  CLI::App* verb = app.add_subcommand(
      "plan",
      "Show the cells of a sweep, the memory and about the time they take; loads no weights and "
      "writes nothing. Exit code 1 where 'sweep' would refuse, too little memory included.");
  add_sweep_options(*verb, options->common);
  verb->add_option("--ranks", options->ranks,
                   "Show, too, what so many processes that share the sweep hold and take")
      ->check(not_empty());
  add_examples(*verb, {{"The README's first sweep", "configs/first-sweep.yaml"},
                       {"The paper's Figure 2, before its checkpoint is there",
                        "configs/paper/fig2_llava13b.yaml --device cpu"}});
  verb->callback([options, &chosen] { chosen = [options] { return plan(*options); }; });
}

}  // namespace elastikv
